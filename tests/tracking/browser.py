"""Omniboard in headless Chromium; `python tests/tracking/browser.py ADDRESS FOLDER` takes the pictures of the docs."""

import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

COLUMNS = ["_id", "status", "c_name", "c_env", "c_seed", "return", "won", "density", "duration"]


class Page:
    """The list of runs, with the columns that matter."""

    def __init__(self, address: str, size: tuple[int, int] = (1500, 800)):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={size[0]},{size[1]}"):
            options.add_argument(argument)
        service = webdriver.ChromeService("/usr/bin/chromedriver")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.get(address)
        self.wait_for("experiments")
        self.driver.refresh()  # upon which the page remembers its columns
        self.wait_for("experiments")
        self.driver.execute_script(
            """
            window.addEventListener("beforeunload", event => event.stopImmediatePropagation(), true);
            const key = Object.keys(localStorage).find(key => key.includes("RunsTable"));
            const state = JSON.parse(localStorage.getItem(key)), shown = arguments[0];
            state.dropdownOptions.forEach(option => option.selected = shown.includes(option.value));
            const order = shown.filter(column => state.columnOrder.includes(column));
            const widths = Object.fromEntries(order.map(column => [column, 130]));
            localStorage.setItem(key, JSON.stringify({...state, columnOrder: order, columnWidths: widths}));""",
            COLUMNS,
        )
        self.driver.refresh()
        self.wait_for("experiments")
        time.sleep(2)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.driver.quit()

    def text(self) -> str:
        """All that can be read."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait_for(self, words: str, timeout_s: float = 30.0) -> None:
        """Until the page has these words."""
        deadline = time.monotonic() + timeout_s
        while words not in self.text():
            assert time.monotonic() < deadline, f"{words!r} is not on the page: {self.text()}"
            time.sleep(0.2)

    def click(self, path: str) -> None:
        """The first element of an XPath."""
        deadline = time.monotonic() + 20
        while not (found := self.driver.find_elements(By.XPATH, path)):
            assert time.monotonic() < deadline, path
            time.sleep(0.2)
        self.driver.execute_script("arguments[0].click()", found[0])
        time.sleep(1)

    def open_run(self) -> None:
        """Unfold the first row."""
        self.click("//*[contains(text(), '►')] | //*[contains(@class, 'expand')]//a")

    def tab(self, name: str) -> None:
        """One of the run's views."""
        self.click(f"//a[normalize-space(.)='{name}'] | //li[normalize-space(.)='{name}']//a")

    def show_metric(self, name: str) -> None:
        """Draw this metric alone."""
        self.tab("Metrics Plot")
        boxes = "#plot-metric-names li input"
        others = (
            f"return [...document.querySelectorAll('{boxes}')].map(box => box.value).filter(value => value != '{name}')"
        )
        for value in self.driver.execute_script(others):
            if value != "multiselect-all":
                self.driver.execute_script(f"document.querySelector('{boxes}[value=\"{value}\"]').click()")
        time.sleep(1)

    def wait_for_curves(self, names: list[str]) -> None:
        """Until the plot's legend has these metrics alone, and lines are drawn; AssertionError after 20 s."""
        legend = "return [...document.querySelectorAll('.legendtext')].map(text => text.textContent)"
        deadline = time.monotonic() + 20
        while True:
            drawn = self.driver.find_elements(By.CSS_SELECTOR, ".scatterlayer path.js-line")
            found = self.driver.execute_script(legend)
            if drawn and found == names:
                return
            assert time.monotonic() < deadline, f"{len(drawn)} lines of {found}, not of {names}"
            time.sleep(0.3)


if __name__ == "__main__":
    with Page(sys.argv[1], (1280, 900)) as page:
        page.driver.save_screenshot(str(Path(sys.argv[2]) / "omniboard_runs.png"))
        page.open_run()
        page.show_metric("test_return_mean")
        page.wait_for_curves(["test_return_mean"])
        page.driver.save_screenshot(str(Path(sys.argv[2]) / "omniboard_run.png"))

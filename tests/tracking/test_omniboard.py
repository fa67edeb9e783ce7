"""Omniboard, as scripts/omniboard.sh starts it, against a server that goes away: its API, and a page in a browser."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tracking.sacred_runs import record
from tracking.server import free_port, server  # noqa: F401  a fixture

ROOT = Path(__file__).parents[2]
INSTALLED = (ROOT / ".omniboard" / ".installed").exists() and shutil.which("node")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not INSTALLED, reason="Omniboard is not installed: scripts/omniboard.sh --install-only"),
]


class Board:
    """Omniboard as a process."""

    def __init__(self, url: str):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/sacred"
        command = [str(ROOT / "scripts" / "omniboard.sh"), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env={**os.environ, "MONGO_URL": url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def get(self, path: str, timeout_s: float = 60.0):
        """An answer of the API, waited for."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/api/v1/{path}", timeout=10) as answer:
                    return json.load(answer)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def stop(self) -> None:
        """As Ctrl-C; nothing is left."""
        os.killpg(self.process.pid, signal.SIGTERM)
        assert self.process.wait(10) == 0


@pytest.fixture
def board(server, tmp_path):  # noqa: F811
    server.start()
    record(tmp_path / "results", 30, server.url)
    board = Board(server.url)
    yield board
    board.stop()


def listeners() -> set[str]:
    """Addresses (hexadecimal, as the kernel writes them) and ports at which something listens."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {line[1] for line in lines if line[3] == "0A"}


def test_the_run_is_there_and_the_database_may_go_away(board, server):  # noqa: F811
    run = board.get("Runs")[0]
    assert (run["status"], run["config"]["seed"], run["experiment"]["name"]) == ("COMPLETED", 1, "recorded")
    metrics = {metric["name"]: metric for metric in board.get("Metrics")}
    assert metrics["test_return_mean"]["values"] == [step / 2 for step in range(30)]
    assert {column["name"] for column in board.get("Omniboard.Metric.Columns")} == {"return", "won", "density"}
    loopback, ours = "0100007F", {f"{port:04X}" for port in (board.port, server.port)}
    found = [place.split(":") for place in listeners() if place.split(":")[1] in ours]
    assert found and all(address == loopback for address, _ in found), found
    server.kill()
    time.sleep(3)
    server.start()
    assert board.get("Runs")[0]["_id"] == 1


def test_the_page_shows_the_run_its_configuration_and_its_curve(board):
    pytest.importorskip("selenium", reason="selenium is not installed (pip install selenium)")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    from tracking.browser import Page

    board.get("Runs")
    with Page(board.address) as page:
        page.wait_for("COMPLETED")
        assert "toy" in page.text() and "Return" in page.text() and "14.5" in page.text(), "the columns that matter"
        page.open_run()
        page.show_metric("test_return_mean")
        page.wait_for_curves(["test_return_mean"])
        page.tab("Config")
        page.wait_for("mongo_checkpoints")

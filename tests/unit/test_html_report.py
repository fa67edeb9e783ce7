"""The page of a run: what stands on it, and that it needs nothing else."""

import json
import re
import shutil
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("plotly")

from bn_mappo.analysis.html_report import find, last_scores, write_page
from bn_mappo.cli import report as command
from bn_mappo.core.errors import ConfigError
from bn_mappo.training.checkpoint import save_checkpoint
from helpers import make_config, make_rollout

SCORES = {"full": (1.0, 2.0, 3.0), "empty": (0.0, 0.5, 0.25)}


def save_run(folder: Path, seed: int = 0, last: float = 1.0, has_checkpoint: bool = True, **updates) -> Path:
    """A recorded run: configuration, two rows of metrics and, where wanted, an untrained policy."""
    config = make_config(env="coordination_game", seed=seed, env_args__n_agents=3, env_args__episode_limit=4, **updates)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.values()))
    rows = [{"step": 10, "time": 1.0, "test_return_mean": 0.0}, {"step": 20, "time": 2.0, "test_return_mean": last}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if has_checkpoint:
        content = {"config": config.values(), "learner": make_rollout(config)[0].learner.state_dict()}
        save_checkpoint(folder / "checkpoints", 20, content)
    return folder


class Page(HTMLParser):
    """What a browser would load, and the text outside of scripts."""

    def __init__(self, path: Path):
        super().__init__()
        self.loads: list[str] = []
        self.policy, self.text, self.scripts, self.inside = "", "", "", ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        values = dict(attrs)
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        self.loads += [values[name] for name in ("src", "href", "data", "poster", "srcset") if name in values]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts += data
        elif self.inside != "style":
            self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = save_run(tmp_path_factory.mktemp("page") / "1", dag__generator="full")
    (folder / "last_game.gif").write_bytes(b"GIF89a")
    return write_page(find([folder]), folder / "report.html", n_episodes=2)


def test_a_page_loads_nothing_and_may_not(page):
    read = Page(page)
    assert read.loads and all(value.startswith("data:") for value in read.loads)
    assert read.policy.startswith("default-src 'none'") and "http" not in read.policy
    assert not re.search(r"@import|url\((?!#|data:|[\"']?#)", re.sub(r"(?s)<script.*?</script>", "", page.read_text()))


def test_a_page_of_a_run_has_curves_dags_animation_configuration_and_provenance(page):
    read = Page(page)
    for words in ("Learning curves", "The DAG, step by step", "last_game.gif", "dag.generator", "Provenance", "commit"):
        assert words in read.text, words
    frames = json.loads(re.search(r"addFrames\(\s*'dag',\s*(\[.*?\])\s*\)", read.scripts, re.DOTALL)[1])
    assert [frame["name"] for frame in frames] == [f"{e}.{t}" for e in (1, 2) for t in range(4)]
    for frame in frames:
        edges, agents = frame["data"]
        assert len(edges["x"]) == 3 * 3 and edges["x"][2::3] == [None] * 3  # the full DAG of three agents: 3 edges
        assert agents["text"] == ["0", "1", "2"] and "3 edges" in frame["layout"]["title"]["text"]
    assert len(read.scripts) > 1_000_000  # plotly itself


@pytest.mark.slow
def test_several_runs_become_curves_and_statistics(tmp_path):
    for generator, scores in SCORES.items():
        for seed, score in enumerate(scores):
            save_run(tmp_path / f"{generator}_{seed}", seed, score, has_checkpoint=False, dag__generator=generator)
    runs = find([tmp_path])
    by_label = last_scores(runs)
    assert sorted(tuple(sorted(values)) for values in by_label.values()) == sorted(
        map(tuple, map(sorted, SCORES.values()))
    )
    read = Page(write_page(runs, tmp_path / "page.html", 1))
    rows = read.text.replace("\n", " ")
    assert "P(" in rows and "0 [0, 0]" in rows  # no seed of empty beats one of full
    assert "fewer than 4 seeds a side decide nothing" in rows
    assert "Statistics" in rows and "0.25" in rows and "interquartile mean" in rows
    assert all(f"full_{seed}" in rows for seed in range(3)) and "(3 seeds)" in read.scripts


def test_a_seed_that_was_run_twice_counts_once(tmp_path):
    for number, score in enumerate((1.0, 2.0)):
        save_run(tmp_path / str(number), 3, score, has_checkpoint=False)
    (values,) = last_scores(find([tmp_path])).values()
    assert len(values) == 1
    evaluation = save_run(tmp_path / "2", 4, 3.0, has_checkpoint=False)
    config = json.loads((evaluation / "config.json").read_text())
    (evaluation / "config.json").write_text(json.dumps({**config, "evaluate": True}))
    (values,) = last_scores(find([tmp_path])).values()
    assert len(values) == 1, "an evaluation is no run of its own"


def test_a_run_without_checkpoint_or_edges_says_so(tmp_path):
    one, two = save_run(tmp_path / "1", has_checkpoint=False), save_run(tmp_path / "2", dag__generator="empty")
    assert "no checkpoint" in Page(write_page(find([one]), tmp_path / "1.html", 1)).text
    assert "No step has an edge" in Page(write_page(find([two]), tmp_path / "2.html", 1)).text


def test_text_of_a_run_is_no_html(tmp_path):
    folder = save_run(tmp_path / "1", has_checkpoint=False)
    config = json.loads((folder / "config.json").read_text())
    config["plugins"] = ["<script>alert(1)</script>"]
    config["mongo_url"] = "mongodb://me:secret@host/db"
    (folder / "config.json").write_text(json.dumps(config))
    text = write_page(find([folder]), tmp_path / "1.html", 1).read_text()
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text and "secret@" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--html"], ["nowhere", "no such folder"]),
        (["empty", "--html"], ["empty", "no run"]),
        (["empty"], ["--html", "missing"]),
        (["empty", "--html", "--episodes", "0"], ["--episodes 0"]),
    ],
)
def test_a_mistake_ends_with_status_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and all(word in error for word in words)


def test_a_broken_run_is_named(tmp_path):
    folder = save_run(tmp_path / "1", has_checkpoint=False)
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json is not JSON"):
        find([folder])


@contextmanager
def browser(path: Path):
    """Headless Chromium without network, with the page loaded; reports everything that the page asks for."""
    pytest.importorskip("selenium", reason="selenium is not installed (pip install selenium)")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(path.resolve().as_uri())
        yield driver
    finally:
        driver.quit()


def requests(driver) -> list[str]:
    """The addresses that the page has asked for, without data that is part of it."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [address for address in sent if not address.startswith(("data:", "blob:"))]


@pytest.mark.slow
def test_a_browser_draws_curves_and_a_slider_over_the_dags_and_asks_for_nothing(page):
    with browser(page) as driver:
        assert [Path(address).name for address in requests(driver)] == [page.name]
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
        curve = driver.execute_script("return document.querySelector('.js-line')?.getAttribute('d')")
        assert curve and curve.startswith("M") and "L" in curve
        title = "return document.querySelector('#dag .gtitle').textContent"
        assert driver.execute_script(title).startswith("episode 1, step 0: 3 edges")
        driver.execute_async_script(  # as dragging the slider to its last step
            """
            const done = arguments[0], plot = document.getElementById("dag");
            const steps = plot.layout.sliders[0].steps, last = steps[steps.length - 1];
            Plotly.animate(plot, ...last.args).then(() => done());"""
        )
        assert driver.execute_script(title).startswith("episode 2, step 3: 3 edges")
        assert driver.execute_script("return document.querySelectorAll('img').length") == 1


@pytest.mark.slow
def test_a_browser_draws_the_page_of_several_runs(tmp_path):
    folders = [
        save_run(tmp_path / f"{generator}_{seed}", seed, score, has_checkpoint=False, dag__generator=generator)
        for generator, scores in SCORES.items()
        for seed, score in enumerate(scores)
    ]
    path = write_page(find(folders), tmp_path / "runs.html", n_episodes=1)
    with browser(path) as driver:
        assert [Path(address).name for address in requests(driver)] == [path.name]
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert driver.execute_script("return document.querySelectorAll('.js-line').length") >= 2  # a curve for each
        assert "probability of improvement" in driver.find_element("tag name", "body").text.lower()


def test_dag_pictures_have_the_arrows_of_the_adjacency():
    import plotly.graph_objects as go

    from bn_mappo.analysis.html_figures import _edges

    place = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    trace = _edges(go, np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]]), place)
    assert trace.x[0] == 0 and 0.8 < trace.x[1] < 1 and trace.x[2] is None and trace.y[:2] == (0, 0)
    assert tuple(trace.marker.size) == (0, 11, 0)

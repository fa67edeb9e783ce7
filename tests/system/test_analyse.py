"""The command line of the analysis, as a user meets it."""

import csv
import json
import re

import numpy as np
import pytest

from bn_mappo.analysis.trained_policy import load_policy
from bn_mappo.cli import analyse
from bn_mappo.training.checkpoint import save_checkpoint
from helpers import make_config, make_rollout


def save_run(folder, alg: str = "bn_mappo", **updates):
    """A run's folder with the checkpoint of an untrained policy."""
    config = make_config(alg, env="coordination_game", **updates)
    setup, _ = make_rollout(config)
    content = {"config": config.values(), "learner": setup.learner.state_dict()}
    save_checkpoint(folder / "checkpoints", 1000, content)
    return folder


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    try:
        status = analyse.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    output = capsys.readouterr()
    return status, output.out, output.err


def test_a_run_becomes_one_page_with_its_tables(tmp_path, capsys):
    folder = save_run(tmp_path / "1", env_args__n_agents=3)
    status, out, err = run(capsys, folder, "--episodes", 6, "--loss", 0, 0.5, "--sampled-dag", "--sampled-actions")
    assert status == 0, err
    analysis = folder / "analysis"
    assert str(analysis / "index.html") in out and "100%" in err and "left" in err
    page = (analysis / "index.html").read_text()
    assert page.count('src="data:image/png;base64,') == len(list(analysis.glob("*.png"))) == 4
    assert not re.search(r'(src|href)="(?!data:)', page), "the page needs another file"
    summary = json.loads((analysis / "summary.json").read_text())
    with (analysis / "returns.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * (1 + 2 + len(summary["edges"]))
    plain, whole = ([float(r["return"]) for r in rows if key(r)] for key in (is_plain, loses_nothing))
    assert plain == whole
    assert summary["return"]["mean"] == pytest.approx(np.mean(plain))
    with (analysis / "edges.csv").open() as file:
        edges = list(csv.DictReader(file))
    assert [float(e["cmi_bits"]) for e in edges] == [e["information"]["mean"] for e in summary["edges"]]


def is_plain(row) -> bool:
    return bool(row["variant"] == "plain")


def loses_nothing(row) -> bool:
    return bool(row["variant"] == "message_loss" and float(row["loss_probability"]) == 0)


def test_a_run_without_edges_and_a_checkpoint_file(tmp_path, capsys):
    folder = save_run(tmp_path / "1", dag__generator="empty")
    file = folder / "checkpoints" / "step_1000.pt"
    status, _, err = run(capsys, file, "--episodes", 3, "--output", tmp_path / "there")
    assert status == 0, err
    summary = json.loads((tmp_path / "there" / "summary.json").read_text())
    assert summary["total_correlation_bits"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert summary["edges"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere"], ["nowhere", "no such run"]),
        (["."], ["no checkpoint"]),
        (["file"], ["file", "not a checkpoint"]),
        (["mappo"], ["basic_mac", "dag_controller", "no messages"]),
        (["good", "--episodes", "1"], ["--episodes 1", "at least 2"]),
        (["good", "--loss", "1.5"], ["--loss 1.5", "between 0 and 1"]),
        (["good", "--loss", "nan"], ["--loss nan", "between 0 and 1"]),
        (["good", "--step", "77"], ["--step 77", "1000"]),
        (["good", "--output", "file"], ["--output file", "folder"]),
        (["good", "--sampled"], ["--sampled"]),
        ([], ["RUN"]),
    ],
)
def test_a_mistake_ends_with_status_2_and_one_message(options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("nothing")
    if "good" in options:
        save_run(tmp_path / "good")
    if "mappo" in options:
        save_run(tmp_path / "mappo", "mappo")
    status, _, err = run(capsys, *options)
    assert status == 2
    assert all(word in err for word in words), err
    assert "Traceback" not in err and not (tmp_path / "good" / "analysis").exists()


def test_a_run_older_than_a_key_takes_its_default(tmp_path):
    config = make_config(env="coordination_game")
    content = {
        "config": {key: value for key, value in config.values().items() if key != "save_steps"},
        "learner": make_rollout(config)[0].learner.state_dict(),
    }
    save_checkpoint(tmp_path / "checkpoints", 1000, content)
    assert load_policy(str(tmp_path), 0).config.save_steps is False

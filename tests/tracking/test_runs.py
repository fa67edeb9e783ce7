"""runs.py tells of runs from their files alone, whatever state these are in."""

import pytest

from bn_mappo.cli import runs
from bn_mappo.tracking.files import read_json, write_json
from tracking.sacred_runs import key_of, record


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Three seeds of one configuration, one of another, a broken folder, and one whose process has died."""
    monkeypatch.chdir(tmp_path)
    for seed, lr in ((0, 0.1), (1, 0.1), (2, 0.1), (0, 0.2)):
        record("results", 8 + seed, config={"seed": seed, "lr": lr})
    folder = tmp_path / "results" / "sacred" / "toy" / "none"
    (folder / "5").mkdir()
    (folder / "5" / "run.json").write_text("{broken")
    died, _ = record("results", 4, config={"seed": 3, "lr": 0.1})
    write_json(died / "run.json", {**read_json(died / "run.json"), "status": "RUNNING"})
    return folder


def run(capsys, *arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        runs.main(list(arguments))
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    output = capsys.readouterr()
    return status, output.out, output.err


def listed(capsys, *arguments) -> list[str]:
    """The numbers of the runs, in order."""
    status, out, error = run(capsys, "list", *arguments)
    assert status == 0, error
    return [line.split()[0].rsplit("/", 1)[1] for line in out.splitlines() if line.startswith("toy/")]


def test_list(results, capsys):
    status, out, error = run(capsys, "list")
    assert status == 0 and "6 runs" in out and "cannot be read" in error
    assert "UNREADABLE" in out and "DIED" in out
    assert "return" in out and "won" not in out, "only metrics that are there"
    assert listed(capsys, "lr=0.2") == ["4"]
    assert listed(capsys, "seed=0") == ["1", "4"]
    assert listed(capsys, "--status", "died") == ["6"]
    assert listed(capsys, "--sort", "return", "--status", "completed") == ["1", "4", "2", "3"]
    assert listed(capsys, "--sort", "return", "--limit", "1") == ["3"]
    assert listed(capsys, "--since", "2999-01-01") == []
    assert listed(capsys, "--until", "2999-01-01", "--config", "toy", "--env", "none", "lr=0.2") == ["4"]
    assert listed(capsys, "toy/none/2", str(results / "3")) == ["2", "3"]
    assert read_json(results / "6" / "run.json")["status"] == "RUNNING", "a listing writes nothing"


def test_a_broken_row_costs_no_more_than_itself(results, capsys):
    with (results / "1" / "metrics.jsonl").open("a") as file:
        file.write('{"test_return_mean": \n{"step": 99, "test_return_mean": 7}\n{"step": 100, "test_ret')
    out = run(capsys, "list", "toy/none/1")[1]
    assert "7.000" in out and " 99 " in out
    status, out, error = run(capsys, "plot", "lr=0.1", "--status", "completed")
    assert status == 0 and "broken" in error and "2 seeds" in out


def test_an_empty_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "list")
    assert status == 0 and "0 runs" in out
    assert run(capsys, "plot")[0] == 2


def test_show_and_compare(results, capsys):
    status, out, _ = run(capsys, "show", "toy/none/1")
    assert status == 0 and "COMPLETED" in out and "test_return_mean" in out and "3.5" in out
    status, out, _ = run(capsys, "compare", "toy/none/1", "toy/none/4")
    assert status == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.split()}
    assert rows["lr"] == ["0.1", "0.2"] and "seed" not in rows


def test_plot(results, capsys, tmp_path):
    status, out, error = run(capsys, "plot")
    assert status == 0 and "toy/none/5 is left out" in error
    assert "lr=0.1: 4 seeds" in out and "lr=0.2: 1 seeds" in out
    assert (tmp_path / "results" / "figures" / "curves.png").stat().st_size > 10_000
    out = run(capsys, "plot", "--by", "seed", "--metric", "loss", "--output", "x.pdf", "--status", "completed")[1]
    assert "seed=1: 1 seeds, -8.000 [-8.000, -8.000] at step 8" in out and (tmp_path / "x.pdf").exists()


def test_a_resumed_run_is_not_drawn_twice(results, capsys):
    record("results", 9, continues=key_of(results / "1"), config={"seed": 0, "lr": 0.1})
    status, out, _ = run(capsys, "plot", "lr=0.1", "--status", "completed")
    assert status == 0 and "left out, for a resumed run repeats their rows: toy/none/1" in out and "3 seeds" in out


def test_evaluations_have_no_curve_and_lend_no_labels(results, capsys):
    record("results", 9, config={"seed": 0, "lr": 0.1, "evaluate": True, "save_replay": True, "gamma": 0.5})
    out = run(capsys, "plot", "--status", "completed")[1]
    assert "lr=0.1: 3 seeds" in out and "gamma" not in out and "save_replay" not in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["list", "--env", "nome"], ["'nome'", "'none'"]),
        (["list", "--status", "finished"], ["'finished'", "completed"]),
        (["list", "sed=1"], ["'sed'", "'seed'"]),
        (["list", "toy/none/99"], ["'toy/none/99'", "runs.py list"]),
        (["list", "--sort", "test_return"], ["no such metric", "'test_return_mean'"]),
        (["list", "--since", "yesterday"], ["yesterday", "2026-11-23"]),
        (["list", "--limit", "-1"], ["--limit -1"]),
        (["show"], ["name a run"]),
        (["compare", "toy/none/1"], ["at least 2"]),
        (["plot", "--metric", "los"], ["'loss'"]),
        (["plot", "--by", "sead"], ["'seed'"]),
        (["plot", "--output", "x.docx"], ["x.docx"]),
        (["polt"], ["polt"]),
    ],
)
def test_wrong_options(results, capsys, arguments, expected):
    status, _, error = run(capsys, *arguments)
    assert status == 2 and "Traceback" not in error
    for words in expected:
        assert words in error


def test_help_teaches(capsys):
    for command in ([], ["list"], ["plot"]):
        status, out, _ = run(capsys, *command, "--help")
        assert status == 0 and "Examples:" in out and "--sort test_return_mean" in out

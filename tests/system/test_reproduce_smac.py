"""The figures on Skirmish as a user meets them: they share trainings, also copied ones, and refuse mistakes."""

import csv
import json
import shutil

import pytest

from bn_mappo.cli.reproduce import main

SMALL = [
    *("agent=mlp", "batch_size_run=4", "batch_size=4", "segment_length=32", "hidden_dim=16"),
    *("test_nepisode=4", "test_interval=512", "save_model_interval=256", "log_interval=64"),
]
GRID = ["--maps", "3m", "--seeds", "1", "--t-max", "512", "--episodes", "6", "--processes", "1"]


def reproduce(figure: str, folder, *options: str) -> int:
    return main([figure, *GRID, "--output", str(folder), *options, "--with", *SMALL])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("skirmish")
    assert reproduce("fig6", place, "--variants", "annealed", "uncorrelated") == 0
    return place


@pytest.fixture
def nothing_trains(monkeypatch):
    monkeypatch.setattr("bn_mappo.sweep.local.LocalProcesses.start", lambda *_: pytest.fail("trained again"))


def read(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_figure_6_has_every_file_and_a_verdict(folder):
    here = folder / "fig6"
    for name in ("fig6.png", "fig6.svg", "fig6.csv", "marl_eval.json", "last_checkpoints.csv"):
        assert (here / name).stat().st_size > 100
    rows = read(here / "last_checkpoints.csv")
    assert [row["variant"] for row in rows] == ["annealed", "annealed, edges removed", "uncorrelated"]
    assert float(rows[1]["edges_a_step"]) == float(rows[2]["edges_a_step"]) == 0
    (claim,) = json.loads((here / "summary.json").read_text())["claims"]
    report = (here / "report.md").read_text()
    assert claim["verdict"].startswith("undecided") and claim["verdict"] in report
    assert "fewer than 4 seeds" in report and "annealing.eta.begin=0.4" in report


@pytest.mark.slow
def test_figures_of_the_same_trainings_train_nothing(folder, nothing_trains):
    assert reproduce("fig7", folder) == 0
    rows = read(folder / "fig7" / "fig7.csv")
    assert {row["agent"] for row in rows} == {"all", "0", "1", "2"}
    assert {row["env_steps"] for row in rows} == {"256", "512"}
    assert all(0 <= float(row["parents"]) <= 1 for row in rows if row["parents"])
    assert reproduce("fig10", folder) == 0
    kl = read(folder / "fig10" / "fig10.csv")
    assert all(float(row["kl"]) == 0 for row in kl if row["agent"] == "0"), "the first agent has no parents"
    assert any(float(row["kl"]) > 0 for row in kl)
    for name in ("fig7", "fig10"):
        assert (folder / name / f"{name}.png").stat().st_size > 1000
        assert "## Trainings" in (folder / name / "report.md").read_text()


@pytest.mark.slow
def test_runs_that_were_copied_are_found_with_what_was_measured_of_them(folder, tmp_path, nothing_trains, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.setattr("bn_mappo.paper.measured.ProcessPoolExecutor", lambda *_: pytest.fail("measured again"))
    assert reproduce("fig6", tmp_path, "--variants", "annealed", "uncorrelated") == 0
    files = [place / "fig6" / "last_checkpoints.csv" for place in (folder, tmp_path)]
    assert files[0].read_text() == files[1].read_text()


@pytest.mark.slow
def test_runs_of_another_length_are_refused(folder, capsys):
    assert reproduce("fig6", folder, "--variants", "uncorrelated", "--t-max", "1024") == 2
    assert "t_max: 512 -> 1024" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fig6", "--variants", "anealed"], "Did you mean 'annealed'"),
        (["fig7", "--maps", "MMM3"], "MMM2"),
        (["fig8", "--env", "aloha"], "skirmish"),
        (["fig9", "--episodes", "0"], "--episodes 0: give a number of at least 1"),
        (["fig10", "--preset", "papr"], "paper"),
        (["fig6", "--with", "t_max=5"], "the figure sets it itself"),
        (["communication", "--densities", "1.5"], "from 0.01 to 0.99"),
        (["communication", "--densities", "0.255"], "whole percents"),
    ],
)
def test_mistakes_end_with_status_2_and_one_message(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

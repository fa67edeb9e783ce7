"""The command `benchmark`: scores on a suite's tasks, and a report of what the runs earned."""

import csv
from pathlib import Path

import numpy as np
import pytest

from bn_mappo.benchmark.report import improvement
from bn_mappo.benchmark.run import tune
from bn_mappo.benchmark.scores import Outcome, Scale, by_algorithm, final_scores, scale_of
from bn_mappo.benchmark.suites import Algorithm, Suite, Task, chosen, load_suite, suite_names
from bn_mappo.cli.benchmark import main
from bn_mappo.core.errors import ConfigError
from bn_mappo.sweep.cells import check_parts
from bn_mappo.sweep.executor import Machines

SUITE = """
title: small
seeds: 2
tasks:
  climbing:
    env_config: matrix_game
    t_max: 160
    settings: [batch_size_run=8, segment_length=4, test_nepisode=4, hidden_dim=8]
    lowest: 5
  coordination_game:
    env_config: coordination_game
    t_max: 320
    settings: [batch_size_run=4, segment_length=20, test_nepisode=4, hidden_dim=8]
algorithms:
  vdn: {config: vdn, settings: [batch_size=4], candidates: values}
  mappo: {config: mappo, candidates: policy_gradient}
  ar_mappo: {config: ar_mappo, candidates: policy_gradient}
  bn_mappo: {config: bn_mappo, candidates: policy_gradient, per_task: {climbing: [lr=0.01]}}
tuning:
  seeds: 1
  candidates:
    values: [[lr=0.01, batch_size=4], [lr=0.001, batch_size=4]]
    policy_gradient: [[lr=0.01], [lr=0.001]]
"""


@pytest.fixture
def suite_file(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SUITE)
    return path


@pytest.mark.parametrize("name", suite_names())
def test_every_run_of_the_package_s_suites_can_be_made(name):
    suite = load_suite(name)
    if name == "grid":
        for package in ("rware", "mpe2"):
            pytest.importorskip(package)
    for algorithm in suite.algorithms:
        for task in suite.tasks:
            check_parts([algorithm.cell(task, 0, task.t_max)])
            for words in suite.tuning.candidates[algorithm.candidates] if suite.tuning else ():
                Algorithm("trial", algorithm.config, tuple(words)).cell(task, 0, task.t_max).settings()


@pytest.mark.slow
def test_the_report_has_every_run_and_a_second_call_trains_nothing(suite_file, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "out"
    arguments = ["--suite", str(suite_file), "--processes", "2", "--output", str(folder)]
    assert main(arguments) == 0
    with (folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["task"], row["algorithm"], row["seed"]) for row in rows}
    tasks, names = ("climbing", "coordination_game"), ("vdn", "mappo", "ar_mappo", "bn_mappo")
    assert found == {(task, name, seed) for task in tasks for name in names for seed in "01"}
    for row in rows:
        if row["task"] == "climbing":
            assert float(row["score"]) == pytest.approx((float(row["return"]) - 5) / 6, abs=1e-4)
    report = (folder / "report.md").read_text()
    for name in names:
        assert report.count(f"| {name} |") >= 6
    for name in ("curves", "profiles", "means", "improvement"):
        assert f"({name}.png)" in report and (folder / f"{name}.svg").stat().st_size > 1000
    assert "| ar_mappo | messages of parents | 12 | 8 |" in report, "one edge, actions as 3 and 2 floats"
    assert "evaluations in the last 10% of its steps, of greedy actions." in report
    assert "`lr=0.01`" in report and "2 candidates with 1 seed that no result uses" in report
    monkeypatch.setattr("bn_mappo.sweep.local.LocalProcesses.start", lambda *_: pytest.fail("ran again"))
    assert main([*arguments, "--algorithms", "mappo"]) == 0
    assert "| vdn |" not in (folder / "report.md").read_text()


@pytest.mark.slow
def test_tuning_tries_every_candidate_on_seeds_of_its_own(suite_file, tmp_path):
    folder = tmp_path / "tuned"
    assert main(["--suite", str(suite_file), "--tune", "--algorithms", "mappo", "--output", str(folder)]) == 0
    with (folder / "tuning.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["settings"] for row in rows] == ["lr=0.01", "lr=0.001"]
    best = max(rows, key=lambda row: float(row["score"]))
    assert f"`{best['settings']}`" in (folder / "tuning.md").read_text()
    assert {path.name for path in (folder / "runs").glob("*/*/*")} == {"seed_1000"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "mirco"], "micro"),
        (["--suite", "nowhere.yaml"], "no such file"),
        (["--algorithms", "mapo"], "mappo"),
        (["--tasks", "alhoa"], "aloha"),
        (["--seeds", "0"], "at least 1"),
        (["--first-seed", "-1"], "from 0 to 4294967295"),
    ],
)
def test_a_mistake_costs_nothing(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("env_config: matrix_game", "env_config: matrix_gane", "matrix_game"),
        ("config: vdn", "config: vdm", "vdn"),
        ("per_task: {climbing", "per_task: {climbin", "climbing"),
        ("candidates: values}", "candidates: value}", "values"),
        ("lowest: 5", "lowst: 5", "lowst"),
        ("[[lr=0.01], [lr=0.001]]", "[[lr=0.01]]", "as many entries"),
        ("lowest: 5", "lowest: 12", "lowest"),
        ("hidden_dim=8]\n    lowest", "hiden_dim=8]\n    lowest", "hidden_dim"),
    ],
)
def test_a_mistake_in_a_suite_is_named_before_anything_starts(old, new, message, suite_file, tmp_path, capsys):
    text = suite_file.read_text()
    assert old in text
    suite_file.write_text(text.replace(old, new))
    assert main(["--suite", str(suite_file), "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def outcome(name: str, task: Task, returns: list[list[float]], scale: Scale) -> Outcome:
    """Evaluations at 0, 1, ... of a hundred-th each, one list a seed."""
    values = np.array(returns)
    scores = (values - scale.lowest) / (scale.highest - scale.lowest)
    steps = np.linspace(0, 100, values.shape[1])
    minutes = np.broadcast_to(steps / 10, values.shape)
    return Outcome(name, task, tuple(range(len(values))), steps, values, scores, minutes, 0.1, 0.0)


TASK = Task("a", "matrix_game", 100, (), "safe", 0.0, 10.0)


def test_a_run_counts_with_the_evaluations_of_its_last_tenth():
    steps_of_twenty = [float(k) for k in range(21)]  # at 0, 5, ..., 100: those after 90 are 95 and 100
    found = outcome("x", TASK, [steps_of_twenty], Scale(0, 10))
    np.testing.assert_allclose(found.final(), [(19 + 20) / 2 / 10])


def test_the_first_evaluation_with_a_level_tells_steps_and_minutes():
    found = outcome("x", TASK, [[0, 5, 9, 10, 10], [0, 0, 0, 0, 4]], Scale(0, 10))
    steps, minutes = found.first_at(0.9)
    np.testing.assert_array_equal(steps, [50, np.inf])
    np.testing.assert_array_equal(minutes, [5, np.inf])


def test_improvement_counts_pairs_of_seeds_task_by_task():
    finals = {"x": np.array([[1.0, 0.0], [3.0, 0.0]]), "y": np.array([[2.0, 0.0], [2.0, 1.0]])}
    pairs = [
        np.mean([(a > b) + 0.5 * (a == b) for a in finals["x"][:, k] for b in finals["y"][:, k]]) for k in range(2)
    ]
    matrix = improvement(finals, ["x", "y"])
    assert matrix[0, 1] == np.mean(pairs) == 1 - matrix[1, 0]


def test_only_seeds_that_every_task_has_are_compared():
    other = Task("b", "matrix_game", 100, (), "safe", 0.0, 10.0)
    suite = Suite("s", "s", "m", 2, (TASK, other), (Algorithm("x", "mappo", ()),), None)
    both = [outcome("x", TASK, [[1, 2], [3, 4]], Scale(0, 10)), outcome("x", other, [[5, 6]], Scale(0, 10))]
    assert by_algorithm(both[:1], suite) == {}
    np.testing.assert_allclose(final_scores(by_algorithm(both, suite)["x"]), [[0.2, 0.6]])


@pytest.mark.slow
def test_scales_come_from_scripted_policies_where_the_suite_has_none(tmp_path):
    task = Task("penalty", "matrix_game", 100, ("env_args.payoff=penalty",), "random", None, None)
    scale = scale_of(task, Algorithm("x", "mappo", ()).cell(task, 0, 100))
    mean = (10 - 100 + 2 - 100 + 10) / 9
    assert scale.highest == 10 and abs(scale.lowest - mean) < 12
    unknown_task = Task("maps", "skirmish", 100, (), "random", 0.0, None)
    assert scale_of(unknown_task, Algorithm("x", "mappo", ()).cell(unknown_task, 0, 100)).highest > 0


def test_some_algorithms_and_tasks_of_a_suite():
    suite = chosen(load_suite("micro"), ["mappo", "qmix"], ["aloha"])
    assert [a.name for a in suite.algorithms] == ["mappo", "qmix"] and [t.name for t in suite.tasks] == ["aloha"]
    with pytest.raises(ConfigError, match="two_step"):
        chosen(load_suite("micro"), None, ["twostep"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: 2", "sedes: 2", "Did you mean 'seeds'?"),
        ("    t_max: 160", "    t_maxx: 160", "Did you mean 't_max'?"),
        (SUITE[SUITE.index("algorithms:") : SUITE.index("tuning:")], "algorithms: {}\n", "algorithms"),
    ],
)
def test_a_mistake_in_a_suite_is_met_before_anything_starts(old, new, message, tmp_path, capsys):
    path = tmp_path / "mistaken.yaml"
    path.write_text(SUITE.replace(old, new, 1))
    assert main(["--suite", str(path), "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_trials_keep_the_settings_that_make_their_algorithm_what_it_is(tmp_path, monkeypatch):
    text = SUITE.replace("bn_mappo: {config: bn_mappo,", "full: {config: bn_mappo, settings: [dag.generator=full],")
    (tmp_path / "suite.yaml").write_text(text)
    tried = []
    monkeypatch.setattr("bn_mappo.benchmark.run.run_grid", lambda cells, *_: tried.extend(cells) or [])
    tune(load_suite(str(tmp_path / "suite.yaml")), 1.0, tmp_path, Machines(1))
    mine = [cell for cell in tried if cell.variant.startswith("full_")]
    assert len(mine) == 4 and all("dag.generator=full" in cell.overrides for cell in mine)
    assert {cell.overrides[-1] for cell in mine if cell.place == "climbing"} == {"lr=0.01"}, (
        "what a task needs counts most"
    )

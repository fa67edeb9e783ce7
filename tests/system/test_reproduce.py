"""The command line of the figures, as a user meets it: files on success, one message and status 2 on a mistake."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bn_mappo.cli.reproduce import main
from bn_mappo.paper.figure3 import Plan, coordination_cases, run_case, seed_batches
from bn_mappo.paper.figure3_claims import by_key, judge

SCRIPT = Path(__file__).parents[2] / "src" / "reproduce.py"


def reproduce(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fig3")
    done = reproduce("fig3", "--quick", "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_quick_run_leaves_every_file(quick):
    folder, done = quick
    assert {"fig3.png", "fig3.svg", "fig3.csv", "summary.json", "report.md"} <= {file.name for file in folder.iterdir()}
    assert (folder / "fig3.png").read_bytes().startswith(b"\x89PNG")
    assert "100%" in done.stderr and "left" in done.stderr


def test_csv_has_one_row_for_each_evaluation_of_each_seed(quick):
    folder, _ = quick
    with (folder / "fig3.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4 * 3 * 4  # cases (N=2, N=3 and its strict reading), DAGs, seeds, evaluations
    assert {row["iteration"] for row in rows} == {"0", "20", "40", "60"}
    assert all(0 < float(row["poa"]) <= 1 and float(row["nash_gap"]) >= -1e-9 for row in rows)


def test_summary_agrees_with_the_csv_and_says_where_it_comes_from(quick):
    folder, _ = quick
    summary = json.loads((folder / "summary.json").read_text())
    assert {"command", "commit", "hardware"} <= set(summary["provenance"])
    with (folder / "fig3.csv").open() as file:
        rows = list(csv.DictReader(file))
    for setting in summary["settings"]:
        last = [r for r in rows if (r["case"], r["dag"], r["iteration"]) == (setting["case"], setting["dag"], "60")]
        assert setting["final"]["poa"]["mean"] == pytest.approx(np.mean([float(r["poa"]) for r in last]))
    report = (folder / "report.md").read_text()
    assert "Claim by claim" in report and summary["provenance"]["commit"] in report
    assert "fewer than 10 seeds" in report  # three seeds must not be made to decide an order


def test_a_users_own_game_runs_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    transition, reward = rng.dirichlet(np.ones(2), size=(2, 2, 3)), rng.random((2, 2, 3))
    np.savez(tmp_path / "mine.npz", P=transition, r=reward, gamma=0.9, mu=[0.5, 0.5])
    paths = ["--game", str(tmp_path / "mine.npz"), "--output", str(tmp_path / "out")]
    assert main(["fig3", *paths, "--quick", "--step", "0.1"]) == 0
    assert "| mine | full |" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "0"), "--seeds 0: give a number of at least 1"),
        (("--dags", "ful"), "Did you mean 'full'"),
        (("--step", "fast"), "--step fast: give"),
        (("--step", "-1"), "--step -1: a step is a positive number"),
        (("--n", "0"), "at least 1 agent"),
        (("--n", "14"), "GB for each seed"),
        (("--game", "absent.npz"), "no game file at 'absent.npz'"),
    ],
)
def test_a_mistake_gives_status_2_and_one_message(tmp_path, capsys, arguments, message):
    assert main(["fig3", *arguments, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_mistake_leaves_no_traceback_in_a_process_of_its_own():
    done = reproduce("fig3", "--seeds", "0")
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0 and "--seeds 0" in done.stderr


@pytest.mark.parametrize("arguments", [["fig99"], ["fig3", "--sed", "3"], []])
def test_unknown_figure_and_option_give_status_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_batches_of_seeds_give_the_results_of_one_batch(monkeypatch):
    (case,) = coordination_cases([2], ["inclusive"])
    plan = Plan((0, 1, 2, 3, 4), 40, 20, "released", ("full",))
    whole = run_case(case, "full", plan, lambda work, text: None)
    monkeypatch.setattr("bn_mappo.paper.figure3.MEMORY_BUDGET", 2 * 16 * 8 * 16)
    assert [*seed_batches(case.game, plan.seeds)] == [(0, 1), (2, 3), (4,)]
    parts = run_case(case, "full", plan, lambda work, text: None)
    np.testing.assert_allclose(parts.poa, whole.poa, rtol=1e-12)
    assert parts.poa.shape == (3, 5)


def test_readings_of_the_reward_bound_are_not_run_twice_where_they_agree():
    assert [c.label for c in coordination_cases([2, 3, 5], ["inclusive", "strict"])] == [
        "N=2",
        "N=3",
        "N=5",
        "N=3, strict bound",
    ]
    assert [c.label for c in coordination_cases([3], ["strict"])] == ["N=3, strict bound"]


def test_verdicts_follow_the_numbers_and_not_the_paper():
    """Swap the DAGs' names: the verdict on their order has to turn round."""
    (case,) = coordination_cases([2], ["inclusive"])
    plan = Plan(tuple(range(20)), 400, 200, "released", ("full", "uncorrelated"))
    runs = {dag: run_case(case, dag, plan, lambda work, text: None) for dag in plan.dags}
    claim = "POA of full above uncorrelated"
    (straight,) = [v.verdict for v in judge(by_key([*runs.values()])) if v.claim == claim]
    swapped = {("N=2", "full"): runs["uncorrelated"], ("N=2", "uncorrelated"): runs["full"]}
    (turned,) = [v.verdict for v in judge(swapped) if v.claim == claim]
    assert (straight, turned) == ("holds", "the opposite holds")

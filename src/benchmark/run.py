"""Run what a benchmark needs, and write what came of it."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bn_mappo.analysis.comparison import interquartile_mean
from bn_mappo.analysis.markdown import table
from bn_mappo.benchmark.report import write_report
from bn_mappo.benchmark.scores import Scale, by_algorithm, collect, final_scores, scale_of
from bn_mappo.benchmark.suites import FIRST_TUNING_SEED, Algorithm, Suite
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid


def scales_of(suite: Suite, cells: Sequence[Cell]) -> dict[str, Scale]:
    """The scale of each task; a mistake in any setting is met here, before anything starts."""
    return {task.name: scale_of(task, next(cell for cell in cells if cell.place == task.name)) for task in suite.tasks}


def make_benchmark(suite: Suite, seeds: range, share: float, folder: Path, machines: Machines) -> list[Cell]:
    """Run what is missing, then write the report of all finished runs; returns the runs that failed."""
    cells = suite.cells(seeds, share)
    scales = scales_of(suite, cells)
    failed = run_grid(cells, folder / "runs", machines)
    write_report(suite, cells, collect(suite, cells, folder / "runs", scales), scales, folder)
    return failed


def tune(suite: Suite, share: float, folder: Path, machines: Machines) -> list[Cell]:
    """Try all candidates on all tasks; writes tuning.csv and tuning.md; returns the runs that failed."""
    assert suite.tuning is not None
    trials: dict[str, list[Algorithm]] = {}
    for algorithm in suite.algorithms:
        for number, words in enumerate(suite.tuning.candidates[str(algorithm.candidates)]):
            settings = (*algorithm.settings, *words)
            trial = Algorithm(f"{algorithm.name}_{number}", algorithm.config, settings, algorithm.per_task)
            trials.setdefault(algorithm.name, []).append(trial)
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + suite.tuning.seeds)
    everyone = tuple(trial for each in trials.values() for trial in each)
    tried = Suite(suite.name, suite.title, suite.metric, len(seeds), suite.tasks, everyone, None)
    cells = tried.cells(seeds, share)
    scales = scales_of(tried, cells)
    failed = run_grid(cells, folder / "runs", machines)
    scores = by_algorithm(collect(tried, cells, folder / "runs", scales), tried)
    rows, best = [], []
    for name, each in trials.items():
        found = {
            trial: interquartile_mean(final_scores(scores[trial.name])).value for trial in each if trial.name in scores
        }
        rows += [[name, " ".join(trial.settings), f"{score:.4f}"] for trial, score in found.items()]
        if found:
            winner = max(found, key=lambda trial: found[trial])
            numbers = (f"{x:.4f}" for x in (found[winner], np.ptp([*found.values()])))
            best.append([name, f"`{' '.join(winner.settings)}`", *numbers])
    with (folder / "tuning.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["algorithm", "settings", "score"], *rows])
    header = ["algorithm", "best settings", "interquartile mean", "best less worst"]
    (folder / "tuning.md").write_text(table(header, best) + "\n")
    return failed

"""The files of a benchmark: report.md with its tables and pictures, and scores.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bn_mappo.analysis.comparison import RESAMPLES, Estimate, contest, interquartile_mean, interquartile_means
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.benchmark.pictures import draw_curves, draw_improvement, draw_means, draw_profiles
from bn_mappo.benchmark.scores import LEVELS, TAIL, Array, Outcome, Scale, by_algorithm, final_scores, footprint
from bn_mappo.benchmark.suites import Suite
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.trainings import trainings


def write_report(
    suite: Suite, cells: Sequence[Cell], outcomes: Sequence[Outcome], scales: dict[str, Scale], folder: Path
) -> list[str]:
    """All files; returns the algorithms that are left out because a task has no finished run of theirs."""
    scores = by_algorithm(outcomes, suite)
    write_csv(outcomes, folder / "scores.csv")
    missing = [algorithm.name for algorithm in suite.algorithms if algorithm.name not in scores]
    if not scores:
        return missing
    finals = {name: final_scores(mine) for name, mine in scores.items()}  # [B, K]
    means = {name: interquartile_mean(values) for name, values in finals.items()}
    names = sorted(scores, key=lambda name: -means[name].value)
    matrix = improvement(finals, names)
    draw_curves({name: scores[name] for name in names}, folder / "curves")
    draw_profiles({name: finals[name] for name in names}, folder / "profiles")
    draw_means(means, folder / "means")
    draw_improvement(names, matrix, folder / "improvement")
    n_seeds = sorted({len(values) for values in finals.values()})
    sections = [
        f"# Benchmark: {suite.title}",
        listed(provenance()),
        "A score of 1 is the best return known, or that which the suite sets, and 0 what uncoordinated play earns "
        f"(table of tasks). A run counts with the mean of its evaluations in the last {TAIL:.0%} of its steps"
        f"{how_evaluated(suite)}. "
        f"Seeds: {' or '.join(map(str, n_seeds))} an algorithm and task; intervals are 95 % stratified bootstraps.",
        "## All tasks",
        "![interquartile means](means.png)",
        of_all(names, finals, means),
        "![performance profiles](profiles.png)",
        "## Who is better than whom",
        "![probability of improvement](improvement.png)",
        against_first(names, finals),
        "## Learning curves",
        "![learning curves](curves.png)",
        "## Each task",
        each_task(suite, finals, names, scales),
        "## Steps and minutes to a score",
        efficiency(suite, names, scores),
        "## What it takes",
        costs(suite, names, scores),
        "## Settings and tuning",
        tuning_text(suite),
        "## Trainings",
        trainings(cells, folder / "runs"),
    ]
    if missing:
        sections.insert(3, f"Left out, for want of finished runs: {', '.join(missing)}.")
    (folder / "report.md").write_text("\n\n".join(sections) + "\n")
    return missing


def how_evaluated(suite: Suite) -> str:
    """Whether policies are evaluated greedily or as they are sampled, in words behind 'evaluations'."""
    task = suite.tasks[0]
    greedy = {a.name: a.cell(task, 0, task.t_max).settings()["test_greedy"] for a in suite.algorithms}
    sampled = [name for name, is_greedy in greedy.items() if not is_greedy]
    if not sampled:
        return ", of greedy actions"
    if len(sampled) == len(greedy):
        return ", of actions as they are sampled"
    return f", of actions as they are sampled ({', '.join(sampled)}) or of greedy ones (the others)"


def write_csv(outcomes: Sequence[Outcome], path: Path) -> None:
    """One row for each task, algorithm, seed and evaluation."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "algorithm", "seed", "env_steps", "return", "score", "minutes"])
        for o in outcomes:
            for b, seed in enumerate(o.seeds):
                for e, step in enumerate(o.steps):
                    numbers = (f"{x:.6g}" for x in (o.returns[b, e], o.scores[b, e], o.minutes[b, e]))
                    writer.writerow([o.task.name, o.algorithm, seed, int(step), *numbers])


def improvement(finals: dict[str, Array], names: Sequence[str]) -> Array:
    """P(row > column), [A, A], the mean over tasks."""
    matrix = np.full((len(names), len(names)), 0.5)
    for i, j in np.ndindex(matrix.shape):
        if i != j:
            x, y = finals[names[i]][:, None], finals[names[j]][None]  # [B, 1, K], [1, B, K]
            matrix[i, j] = (x > y).mean() + 0.5 * (x == y).mean()
    return matrix


def of_all(names: Sequence[str], finals: dict[str, Array], means: dict[str, Estimate]) -> str:
    rows = [[name, means[name], f"{np.median(finals[name]):.3f}"] for name in names]
    return table(["algorithm", "interquartile mean", "median"], rows)


def against_first(names: Sequence[str], finals: dict[str, Array]) -> str:
    """The first algorithm against each other one, with intervals and a verdict."""
    if len(names) < 2:
        return ""
    rows = []
    for name in names[1:]:
        found = contest(finals[names[0]], finals[name])
        verdict = {1: "better", -1: "worse", 0: "undecided"}[found.outcome]
        rows.append([name, found.probability, " ".join(word for word in (verdict, found.remark) if word)])
    return table([f"{names[0]} against", "P(it scores higher)", "verdict"], rows)


def each_task(suite: Suite, finals: dict[str, Array], names: Sequence[str], scales: dict[str, Scale]) -> str:
    """What the tasks are, and the score on each."""
    tasks = [
        [t.name, f"`{' '.join([t.env_config, *t.settings])}`", f"{t.t_max:,}", t.zero]
        + [f"{bound:.4g}" for bound in scales[t.name]]
        for t in suite.tasks
    ]
    rows = []
    for name in names:
        estimates = zip(*interquartile_means(finals[name], RESAMPLES), strict=True)
        rows.append([name, *(Estimate(*map(float, each)) for each in estimates)])
    return "\n\n".join(
        [
            table(["task", "environment", "steps", "score 0", "its return", "return of score 1"], tasks),
            "Interquartile mean of the final score over seeds:",
            table(["algorithm", *(task.name for task in suite.tasks)], rows),
        ]
    )


def efficiency(suite: Suite, names: Sequence[str], scores: dict[str, list[Outcome]]) -> str:
    """A table for each level: steps and minutes until it is reached."""
    parts = [
        "Median over seeds of the steps, and of the minutes (with evaluations and pauses, on one core), to the "
        "first evaluation with this score; a dot: fewer than half of the runs reach it."
    ]
    for level in LEVELS:
        rows = []
        for name in names:
            found = [[float(np.median(values)) for values in outcome.first_at(level)] for outcome in scores[name]]
            words = [f"{steps:,.0f} ({minutes:.2g} min)" if np.isfinite(steps) else "." for steps, minutes in found]
            rows.append([name, *words])
        parts += [f"To a score of {level:g}:", table(["algorithm", *(task.name for task in suite.tasks)], rows)]
    return "\n\n".join(parts)


def costs(suite: Suite, names: Sequence[str], scores: dict[str, list[Outcome]]) -> str:
    """A table for speed, parameters and communication each."""
    by_name = {algorithm.name: algorithm for algorithm in suite.algorithms}
    speeds, sizes, exchanges = [], [], []
    for name in names:
        found = [footprint(by_name[name], outcome, outcome.seeds[0]) for outcome in scores[name]]
        speeds.append([name, *(f"{1 / outcome.seconds_a_step:,.0f}" for outcome in scores[name])])
        sizes.append([name, *(f"{each.n_parameters:,}" for each in found)])
        needs = max(found, key=lambda each: each.bytes_a_step).needs  # a DAG may have lost its edges on some tasks
        exchanges.append([name, needs, *(f"{each.bytes_a_step:,.0f}" for each in found)])
    tasks = [task.name for task in suite.tasks]
    return "\n\n".join(
        [
            "Environment steps a second, with learning and evaluation, of one run on one core:",
            table(["algorithm", *tasks], speeds),
            "Parameters of the policy:",
            table(["algorithm", *tasks], sizes),
            "What agents exchange to act, in bytes a step (float32, without headers; a DAG's edges as in the last "
            "evaluations):",
            table(["algorithm", "an agent needs beside its observation", *tasks], exchanges),
        ]
    )


def tuning_text(suite: Suite) -> str:
    """What was tried, and what was chosen."""
    rows = []
    for a in suite.algorithms:
        rows.append([a.name, a.config, " ".join(a.settings) and f"`{' '.join(a.settings)}`"])
        rows[-1].append("; ".join(f"{task}: `{' '.join(words)}`" for task, words in a.per_task.items()))
    chosen = table(["algorithm", "--config", "settings", "on single tasks"], rows)
    if suite.tuning is None:
        return f"No algorithm was tuned for this suite.\n\n{chosen}"
    number, n_seeds = len(next(iter(suite.tuning.candidates.values()))), suite.tuning.seeds
    text = f"The same budget for each algorithm: {number} candidates with {n_seeds} seed{'s' * (n_seeds > 1)} that no "
    return f"{text}result uses, on all tasks (`--tune`); the best interquartile mean was chosen.\n\n{chosen}"

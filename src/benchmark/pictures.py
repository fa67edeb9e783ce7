"""The pictures of a benchmark: curves, performance profiles, interquartile means, probabilities of improvement."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from rliable import library

from bn_mappo.analysis.comparison import Estimate, interquartile_means, seeded
from bn_mappo.analysis.figures import save, tidy
from bn_mappo.benchmark.scores import GRID, Array, Outcome

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
PROFILE_RESAMPLES = 300
Style = tuple[tuple[float, float, float, float], str | tuple[int, tuple[float, ...]]]


def styles(names: Sequence[str]) -> dict[str, Style]:
    """A colour for each algorithm, and other dashes where ten colours are used up."""
    return {name: (colormaps["tab10"](k % 10), DASHES[k // 10 % len(DASHES)]) for k, name in enumerate(names)}


def draw_curves(scores: dict[str, list[Outcome]], target: Path) -> None:
    """Normalised score along training, a panel a task: interquartile mean over seeds with its interval."""
    tasks = [outcome.task for outcome in next(iter(scores.values()))]
    n_columns = min(3, len(tasks))
    n_rows = -(-len(tasks) // n_columns)
    figure = Figure(figsize=(4.3 * n_columns, 3.1 * n_rows + 0.9), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    drawn = styles(list(scores))
    for k, task in enumerate(tasks):
        axis = axes[k]
        for name, outcomes in scores.items():
            colour, dashes = drawn[name]
            value, low, high = interquartile_means(outcomes[k].on_grid())
            steps = GRID * outcomes[k].steps[-1]
            axis.plot(steps, value, color=colour, linestyle=dashes, linewidth=1.5, label=name)
            axis.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        axis.set_title(task.name, fontsize=10)
        axis.set_ylim(-0.25, 1.08)
        axis.set_xlabel("environment steps", fontsize=8)
        tidy(axis)
    for axis in axes[len(tasks) :]:
        axis.set_visible(False)
    for axis in axes[::n_columns]:
        axis.set_ylabel("normalised score", fontsize=9)
    handles, words = axes[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncol=min(7, len(words)), frameon=False, fontsize=8)
    save(figure, target)


def draw_profiles(finals: dict[str, Array], target: Path) -> None:
    """Share of runs whose final score is above each level, over all tasks and seeds (Agarwal et al. 2021)."""
    levels = np.linspace(-0.05, 1.0, 106)
    with seeded():
        shares, intervals = library.create_performance_profile(finals, levels, reps=PROFILE_RESAMPLES)
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axis = figure.subplots()
    for name, (colour, dashes) in styles(list(finals)).items():
        axis.plot(levels, shares[name], color=colour, linestyle=dashes, linewidth=1.6, label=name)
        axis.fill_between(levels, *intervals[name], color=colour, alpha=0.12, linewidth=0)
    axis.set_xlabel("normalised score")
    axis.set_ylabel("share of runs above it")
    axis.set_ylim(-0.02, 1.02)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    tidy(axis)
    save(figure, target)


def draw_means(means: dict[str, Estimate], target: Path) -> None:
    """Interquartile means of final scores with their intervals, best first."""
    names = sorted(means, key=lambda name: means[name].value)
    figure = Figure(figsize=(6.4, 0.32 * len(names) + 1.0), layout="constrained")
    axis = figure.subplots()
    for row, name in enumerate(names):
        value, low, high = means[name]
        axis.plot([low, high], [row, row], color="#2f6db3", linewidth=6, alpha=0.3, solid_capstyle="butt")
        axis.plot(value, row, "o", color="#2f6db3", markersize=4)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set_xlabel("interquartile mean of the final score, 95 % interval", fontsize=9)
    tidy(axis)
    save(figure, target)


def draw_improvement(names: Sequence[str], matrix: Array, target: Path) -> None:
    """P(row > column) of every pair [A, A]."""
    size = 0.5 * len(names) + 2.0
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(matrix, cmap="RdBu", vmin=0, vmax=1)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    for row, column in np.ndindex(matrix.shape):
        if row != column:
            dark = abs(matrix[row, column] - 0.5) > 0.35
            axis.text(
                column,
                row,
                f"{matrix[row, column]:.2f}".lstrip("0"),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "#222222",
            )
    figure.colorbar(image, ax=axis, shrink=0.7, label="P(row scores higher than column)")
    save(figure, target)

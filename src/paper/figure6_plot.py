"""Figure 6 as a picture: battles won along the annealing, with the density, and what the last checkpoints win."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_mappo.analysis.comparison import interquartile_means
from bn_mappo.analysis.figures import save, tidy
from bn_mappo.paper.figure4_plot import NOTE, STYLES, draw_values, seeds_of
from bn_mappo.paper.figure6 import ALONE, Final
from bn_mappo.paper.results import Curves
from bn_mappo.paper.smac_plan import ANNEALED

mpl.use("Agg")
BLACK = "#111111"


def draw_figure6(
    curves: Sequence[Curves], finals: Sequence[Final], breaks: Sequence[float], n_episodes: int, target: Path
) -> None:
    """Write target.png and target.svg. `breaks`: fractions of training at which the annealing changes."""
    keys = list(dict.fromkeys(c.panel.key for c in curves))
    figure = Figure(figsize=(5.6 * len(keys) + 2.2, 6.2), layout="constrained")
    axes = figure.subplots(2, len(keys), squeeze=False, height_ratios=[2.6, 1.2])
    for column, key in enumerate(keys):
        mine = [c for c in curves if c.panel.key == key]
        draw_values(axes[0, column], mine, {})
        axes[0, column].set_xlabel("environment steps")
        draw_density(axes[0, column], mine, breaks)
        draw_finals(axes[1, column], [f for f in finals if f.map_name == key], n_episodes)
        tidy(axes[1, column])
        axes[0, column].grid(alpha=0.25, linewidth=0.6)
        axes[0, column].spines["top"].set_visible(False)
    handles, words = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncol=2, frameon=False)
    note = f"Interquartile mean over {seeds_of(c.seeds for c in curves)} with 95 % bootstrap interval; no smoothing."
    figure.supxlabel(f"{note} Dotted: break points of the annealing.", **NOTE)
    save(figure, target)


def draw_density(axis: Axes, curves: Sequence[Curves], breaks: Sequence[float]) -> None:
    """The density of the annealed DAG over the same steps, with the break points."""
    for c in curves:
        if c.variant == ANNEALED:
            right = axis.twinx()
            right.plot(c.density_steps, interquartile_means(c.density)[0], color=BLACK, linewidth=1.2)
            right.set_ylim(-0.03, 1.03)
            right.set_ylabel("density")
            right.spines["top"].set_visible(False)
            axis.plot([], [], color=BLACK, linewidth=1.2, label="density of the annealed DAG")  # for the legend
            for share in breaks:
                axis.axvline(share * c.steps[-1], color="#888888", linewidth=0.8, linestyle=":")


def draw_finals(axis: Axes, finals: Sequence[Final], n_episodes: int) -> None:
    """A row a variant: interquartile mean with interval, and every seed."""
    for row, final in enumerate(finals):
        colour = STYLES[ANNEALED if final.variant == ALONE else final.variant][0]
        score = final.score
        bar: dict[str, Any] = {"color": colour, "linewidth": 6, "alpha": 0.35, "solid_capstyle": "butt"}
        axis.plot([score.low, score.high], [row, row], **bar)
        axis.plot(final.won, np.full(len(final.won), row), "|", color=colour, markersize=9)
        axis.plot(score.value, row, "o", color=colour, markersize=6)
    names = [ALONE if f.variant == ALONE else STYLES[f.variant][2] for f in finals]
    axis.set_yticks(range(len(finals)), names, fontsize=8)
    axis.set_ylim(len(finals) - 0.5, -0.5)
    text = f"battles won by the last checkpoint, of {n_episodes:,} greedy games a seed (strokes: seeds)"
    axis.set_xlabel(text, fontsize=8)

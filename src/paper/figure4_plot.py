"""Figure 4 as a picture: what each variant earns, and below it the density of the learned DAG."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_mappo.analysis.comparison import interquartile_means
from bn_mappo.analysis.figures import save, tidy
from bn_mappo.analysis.pictures import mark_references
from bn_mappo.paper.results import Curves

mpl.use("Agg")
STYLES: dict[str, tuple[str, str | tuple[float, tuple[float, float]], str]] = {  # variant: (colour, dashes, words)
    "context_aware": ("#d9822b", "-", "context-aware (learned DAG)"),
    "full": ("#2e7d32", (0, (3, 1.5)), "full DAG"),
    "line": ("#d1495b", (0, (1, 1)), "line"),
    "uncorrelated": ("#1b6ca8", "-", "uncorrelated (no DAG)"),
    "annealed": ("#6a3d9a", "-", "context-aware, annealed to no edges"),
}


NOTE: dict[str, Any] = {"fontsize": 8, "color": "#444444"}  # of a figure's last line


def draw_figure4(curves: Sequence[Curves], marks: dict[str, dict[str, float]], target: Path) -> None:
    """Write target.png and target.svg. `marks`: values of scripted policies by panel, drawn as dotted lines."""
    keys = list(dict.fromkeys(c.panel.key for c in curves))
    figure = Figure(figsize=(max(5.2 * len(keys) + 0.8, 7.5), 6.2), layout="constrained")
    axes = figure.subplots(2, len(keys), squeeze=False, sharex="col", height_ratios=[3, 1])
    for column, key in enumerate(keys):
        mine = [c for c in curves if c.panel.key == key]
        draw_values(axes[0, column], mine, marks.get(key, {}))
        for c in mine:
            if c.variant == "context_aware":
                draw_band(axes[1, column], c.density_steps, c.density, c.variant)
        axes[1, column].set_ylim(0, 1)
        axes[1, column].set_xlabel("environment steps")
        for axis in axes[:, column]:
            tidy(axis)
    axes[1, 0].set_ylabel("density of the\nlearned DAG")
    handles, words = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncol=2 if len(keys) == 1 else 4, frameon=False)
    figure.supxlabel(
        f"Interquartile mean over {seeds_of(c.seeds for c in curves)} with 95 % bootstrap interval; no smoothing.",
        **NOTE,
    )
    save(figure, target)


def seeds_of(groups: Iterable[tuple[int, ...]]) -> str:
    """How many seeds there are in each group, in words."""
    numbers = sorted({len(seeds) for seeds in groups})
    return f"{' to '.join(map(str, numbers))} seed{'' if numbers == [1] else 's'}"


def draw_values(axis: Axes, curves: Sequence[Curves], marks: dict[str, float]) -> None:
    """What the variants of one panel earn along the training, by the panel's first metric."""
    panel = curves[0].panel
    metric = next(m for m in panel.metrics if m.name in curves[0].values)
    for c in curves:
        draw_band(axis, c.steps, c.values[metric.name], c.variant)
    if "battle_won" in metric.name:
        bottom, top, shown = -0.03, 1.03, marks
    else:
        second_half = np.concatenate([c.values[metric.name][:, len(c.steps) // 4 :].ravel() for c in curves])
        low, high = np.quantile(second_half, 0.01), max(second_half.max(), *marks.values(), -np.inf)
        span = high - low or 1.0
        bottom, top = low - 0.15 * span, high + 0.06 * span
        shown = {name: value for name, value in marks.items() if value > bottom}
    axis.set_ylim(bottom, top)
    mark_references(axis, shown, bottom, top)
    axis.set_title(panel.title)
    axis.set_ylabel(metric.label)


def draw_band(axis: Axes, steps: np.ndarray, values: np.ndarray, variant: str) -> None:
    """Interquartile mean over seeds and its interval: steps [E], values [B, E]."""
    colour, dashes, words = STYLES[variant]
    middle, low, high = interquartile_means(values)
    axis.plot(steps, middle, linestyle=dashes, color=colour, label=words, linewidth=1.6)
    if len(values) > 1:
        axis.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)

"""Figure 3 as a picture: POA above, Nash-gap below, one column for each case."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bn_mappo.analysis.figures import save
from bn_mappo.paper.figure3 import Curves
from bn_mappo.tabular.game import Array

STYLES: dict[str, tuple[str, str | tuple[float, tuple[float, float]], str]] = {  # DAG: (colour, dashes, words)
    "uncorrelated": ("#1b6ca8", "-", "uncorrelated (no edges)"),
    "line": ("#d1495b", "-", "line (N-1 edges)"),
    "full": ("#2e7d32", (0, (3, 1.5)), "full"),
    "line_released": ("#8d6a9f", (0, (1, 1)), "line as released (N-2 edges)"),
}


def draw_figure3(curves: Sequence[Curves], target: Path) -> None:
    """Write target.png and target.svg: means over seeds, bands of one standard error, dotted medians of the gap."""
    matplotlib.use("Agg")
    labels = list(dict.fromkeys(c.case.label for c in curves))
    figure, axes = plt.subplots(
        2, len(labels), figsize=(3.3 * len(labels) + 0.6, 5.6), squeeze=False, sharex=True, sharey="row"
    )
    for column, label in enumerate(labels):
        mine = [c for c in curves if c.case.label == label]
        _panel(axes[0, column], mine, lambda c: c.poa)
        _panel(axes[1, column], mine, lambda c: c.gap, with_median=True)
        axes[0, column].set_title(label)
        axes[1, column].set_yscale("log")
        axes[1, column].set_xlabel("gradient iterations")
    axes[0, 0].set_ylabel("POA")
    axes[1, 0].set_ylabel("Nash-gap (log scale)")
    handles, words = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, words, loc="upper center", ncol=len(handles), frameon=False, bbox_to_anchor=(0.5, 1.0))
    first = curves[0]
    note = (
        f"Mean and one standard error over {len(first.seeds)} seeds; dotted: median. "
        f"Exact evaluation every {first.iteration[1] - first.iteration[0]} iterations, no smoothing."
    )
    figure.text(0.5, 0.012, note, ha="center", fontsize=8, color="#444444")
    figure.tight_layout(rect=(0, 0.03, 1, 0.94))
    save(figure, target, dpi=120)
    plt.close(figure)


def _panel(axis: Axes, curves: Sequence[Curves], pick: Callable[[Curves], Array], with_median: bool = False) -> None:
    for c in curves:
        colour, dashes, words = STYLES[c.dag]
        data = pick(c)  # [E, B]
        mean = data.mean(axis=1)  # [E]
        axis.plot(c.iteration, mean, linestyle=dashes, color=colour, label=words, linewidth=1.6)
        if data.shape[1] > 1:
            error = data.std(axis=1, ddof=1) / np.sqrt(data.shape[1])  # [E]
            axis.fill_between(c.iteration, mean - error, mean + error, color=colour, alpha=0.18, linewidth=0)
        if with_median:
            axis.plot(c.iteration, np.median(data, axis=1), ":", color=colour, linewidth=1)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)

"""What all pictures of experiments have in common."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")


def tidy(axis: Axes) -> None:
    """A faint grid, and no frame at the top and at the right."""
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, target: Path, dpi: int = 130) -> None:
    """target.png and target.svg."""
    figure.savefig(target.with_suffix(".png"), dpi=dpi)
    figure.savefig(target.with_suffix(".svg"))

"""The pictures that a run draws of itself."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from analysis.episode import Episode
from envs.vec_env import Array, EnvInfo
from utils.config import Config
from utils.tracking import series

mpl.use("Agg")
BLUE, ORANGE, GREY, GREEN = "#2f6db3", "#d9822b", "#8a8f98", "#3a9d5d"
FAINTEST_EDGE = 0.03  # share of steps below which an edge is not drawn


def draw_learning_curve(rows: list[dict[str, Any]], known: dict[str, float], config: Config, path: Path) -> Path:
    """Test return over environment steps, with scripted policies as marks, and below it the density of the DAG."""
    has_dag = any("dag_density" in row for row in rows)
    figure = Figure(figsize=(8, 5.6 if has_dag else 4), layout="constrained")
    axes = figure.subplots(2 if has_dag else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 1][: 1 + has_dag])[
        :, 0
    ]
    top: Axes = axes[0]
    steps, values = series(rows, "test_return_mean")
    top.plot(steps, values, color=BLUE, marker="o", markersize=3, label="test return, mean of the episodes")
    shown = np.array(values[len(values) // 5 :] or values or [0.0])  # the start may lie far below
    marks = {name: value for name, value in known.items() if value >= shown.min() - 0.5 * np.ptp(shown) - 1}
    low, high = min([shown.min(), *marks.values()]), max([shown.max(), *marks.values()])
    margin = 0.08 * (high - low) or 1.0
    top.set_ylim(low - margin, high + margin)
    _mark_references(top, marks, low - margin, high + margin)
    top.set_ylabel("return of an episode")
    mode = "greedy" if config.test_greedy else "sampled"
    top.set_title(
        f"{config.name} on {config.env}, seed {config.seed}: {mode} policy, "
        f"{config.test_nepisode} test episodes a point, no smoothing",
        fontsize=10,
    )
    if has_dag:
        axes[1].plot(*series(rows, "dag_density"), color=ORANGE, marker="o", markersize=2)
        axes[1].set_ylim(0, 1)
        axes[1].set_ylabel("DAG density")
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("environment steps")
    figure.savefig(path, dpi=130)
    return path


def _mark_references(axis: Axes, marks: dict[str, float], low: float, high: float) -> None:
    """A dotted line a scripted policy, named at its right end; names are moved apart where lines lie close."""
    gap, lowest = 0.045 * (high - low), -np.inf
    for name, value in sorted(marks.items(), key=lambda mark: mark[1]):
        axis.axhline(value, color=GREY, linewidth=0.8, linestyle=":")
        lowest = max(value, lowest + gap)
        axis.annotate(
            f"{name}  {value:.2f}",
            (1.01, lowest),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="center",
            color="#555",
        )


def positions(info: EnvInfo) -> Array:
    """Where to draw each agent, [N, 2]: on its grid, or on a circle."""
    if info.layout is not None:
        row, column = np.divmod(np.arange(info.n_agents), info.layout[1])
        return np.stack([column, -row], axis=1).astype(float)
    angle = np.pi / 2 - 2 * np.pi * np.arange(info.n_agents) / info.n_agents
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * max(1.0, info.n_agents / 5)


def draw_dag(episode: Episode, info: EnvInfo, path: Path) -> Path:
    """How often each edge is there over a greedy episode, and the DAG of one step with the actions it led to."""
    step = len(episode.actions) // 2
    figure = Figure(figsize=(12, 2.9 if info.layout else 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_graph(left, episode.adjacency.mean(0), info, [GREY] * info.n_agents)
    kinds = "\nblue: between neighbours, orange: others" if info.layout else ""
    left.set_title(f"parent to child, stronger the larger the share of a greedy episode{kinds}", fontsize=10)
    colours = [GREEN if action == info.n_actions - 1 else GREY for action in episode.actions[step]]
    _draw_graph(right, episode.adjacency[step], info, colours)
    n_edges = int(episode.adjacency[step].sum())
    right.set_title(f"step {step}: {n_edges} edges\ngreen takes action {info.n_actions - 1}, grey another", fontsize=10)
    figure.savefig(path, dpi=130)
    return path


def draw_arrow(axis: Axes, begin: Array, end: Array, colour: str, strength: float) -> None:
    """An edge between two agents' places [2], the fainter the smaller its strength in [0, 1]."""
    arrow = FancyArrowPatch(
        tuple(begin),
        tuple(end),
        connectionstyle="arc3,rad=0.18",
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=13,
        shrinkB=13,
        color=colour,
        alpha=0.15 + 0.85 * strength,
        linewidth=0.4 + 1.4 * strength,
    )
    axis.add_patch(arrow)


def _draw_graph(axis: Axes, weight: Array, info: EnvInfo, colours: list[str]) -> None:
    """Arrows from parents to children, as strong as weight[j, i] in [0, 1]."""
    place = positions(info)
    for parent, child in zip(*np.nonzero(weight > FAINTEST_EDGE), strict=True):
        is_near = info.layout is None or np.abs(place[parent] - place[child]).sum() == 1
        draw_arrow(axis, place[parent], place[child], BLUE if is_near else ORANGE, float(weight[parent, child]))
    axis.scatter(place[:, 0], place[:, 1], s=420, c=colours, edgecolors="white", zorder=3)
    for agent, (x, y) in enumerate(place):
        axis.text(x, y, str(agent), ha="center", va="center", color="white", zorder=4, fontsize=10)
    axis.set_xlim(place[:, 0].min() - 0.5, place[:, 0].max() + 0.5)
    axis.set_ylim(place[:, 1].min() - 0.6, place[:, 1].max() + 0.6)
    axis.set_aspect("equal")
    axis.axis("off")

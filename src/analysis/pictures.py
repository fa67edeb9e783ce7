"""The pictures that a run draws of itself."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from bn_mappo.analysis.episode import Episode
from bn_mappo.config.schema import Config
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.references import References
from bn_mappo.tracking.metrics import series

mpl.use("Agg")
BLUE, ORANGE, GREY, GREEN = "#2f6db3", "#d9822b", "#8a8f98", "#3a9d5d"
FAINTEST_EDGE = 0.03  # share of steps below which an edge is not drawn


def draw_learning_curve(rows: list[dict[str, Any]], known: References, config: Config, path: Path) -> Path:
    """Over environment steps: test return, win rate where there is one, and density of the DAG where there is one.

    Scripted policies are marked beside return and win rate.
    """
    panels = [
        "test_return_mean",
        *(n for n in ("test_battle_won_mean", "dag_density") if any(n in row for row in rows)),
    ]
    heights = [{"test_return_mean": 3.0, "test_battle_won_mean": 1.6}.get(name, 1.2) for name in panels]
    figure = Figure(figsize=(8, 1.3 + sum(heights)), layout="constrained")
    axes = dict(
        zip(
            panels,
            figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0],
            strict=True,
        )
    )
    _draw_returns(axes["test_return_mean"], rows, {name: means["return"] for name, means in known.items()})
    mode = "greedy" if config.test_greedy else "sampled"
    axes["test_return_mean"].set_title(
        f"{config.name} on {_place(config)}, seed {config.seed}: {mode} policy, "
        f"{config.test_nepisode} test episodes a point, no smoothing",
        fontsize=10,
    )
    if "test_battle_won_mean" in axes:
        axis = axes["test_battle_won_mean"]
        axis.plot(*series(rows, "test_battle_won_mean"), color=GREEN, marker="o", markersize=3)
        axis.set_ylim(-0.05, 1.05)
        axis.set_ylabel("battles won")
        wins = {name: means["battle_won"] for name, means in known.items() if "battle_won" in means}
        mark_references(axis, wins, -0.05, 1.05, gap=0.09)
    if "dag_density" in axes:
        axes["dag_density"].plot(*series(rows, "dag_density"), color=ORANGE, marker="o", markersize=2)
        axes["dag_density"].set_ylim(0, 1)
        axes["dag_density"].set_ylabel("DAG density")
    for axis in axes.values():
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[panels[-1]].set_xlabel("environment steps")
    figure.savefig(path, dpi=130)
    return path


def _place(config: Config) -> str:
    """The environment, with its map where it has maps."""
    map_name = config.env_args.get("map_name")
    return f"{config.env} {map_name}" if map_name else config.env


def _draw_returns(axis: Axes, rows: list[dict[str, Any]], known: dict[str, float]) -> None:
    """The curve, and what scripted policies earn."""
    steps, values = series(rows, "test_return_mean")
    axis.plot(steps, values, color=BLUE, marker="o", markersize=3, label="test return, mean of the episodes")
    shown = np.array(values[len(values) // 5 :] or values or [0.0])  # the start may lie far below
    marks = {name: value for name, value in known.items() if value >= shown.min() - 0.5 * np.ptp(shown) - 1}
    low, high = min([shown.min(), *marks.values()]), max([shown.max(), *marks.values()])
    margin = 0.08 * (high - low) or 1.0
    axis.set_ylim(low - margin, high + margin)
    mark_references(axis, marks, low - margin, high + margin)
    axis.set_ylabel("return of an episode")


def mark_references(axis: Axes, marks: dict[str, float], low: float, high: float, gap: float = 0.045) -> None:
    """A dotted line a scripted policy, named at its right end; names are `gap` of the height apart at least."""
    marks = dict(sorted(marks.items(), key=lambda mark: mark[1]))
    for (name, value), place in zip(marks.items(), spread(list(marks.values()), gap * (high - low)), strict=True):
        axis.axhline(value, color=GREY, linewidth=0.8, linestyle=":")
        where = (1.01, place)
        text = f"{name}  {value:.2f}"
        axis.annotate(text, where, xycoords=("axes fraction", "data"), fontsize=8, va="center", color="#555")


def spread(values: list[float], gap: float) -> list[float]:
    """Rising values moved as little as possible (least squares) so that neighbours are `gap` apart at least."""
    groups: list[list[float]] = []  # of values that touch, each less `gap` for every value below it
    for k, value in enumerate(values):
        groups.append([value - k * gap])
        while len(groups) > 1 and np.mean(groups[-2]) >= np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    means = [float(np.mean(group)) for group in groups for _ in group]
    return [mean + k * gap for k, mean in enumerate(means)]


def positions(info: EnvInfo) -> Array:
    """Where to draw each agent, [N, 2]: on its grid, or on a circle."""
    if info.layout is not None:
        row, column = np.divmod(np.arange(info.n_agents), info.layout[1])
        return np.stack([column, -row], axis=1).astype(float)
    angle = np.pi / 2 - 2 * np.pi * np.arange(info.n_agents) / info.n_agents
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * max(1.0, info.n_agents / 5)


def draw_dag(episode: Episode, info: EnvInfo, path: Path) -> Path:
    """How often each edge is there over a greedy episode, and the DAG of one step with what it led to.

    Where the environment can draw itself that is the moment in which most happens, with the edges over the agents.
    """
    figure = Figure(figsize=(12, 2.9 if info.layout else 5.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1 if episode.film is None else 1.4])
    _draw_graph(left, episode.adjacency.mean(0), info, [GREY] * info.n_agents)
    kinds = "\nblue: between neighbours, orange: others" if info.layout else ""
    left.set_title(
        f"arrows from parent to child: the stronger,\nthe more steps of a greedy episode{kinds}", fontsize=10
    )
    if episode.film is not None:
        caption = episode.film.draw(right, episode.film.highlight())
        right.set_title(f"{caption}\npurple: parent to child, dotted: orders, thin: shots", fontsize=10)
    else:
        _draw_step(right, episode, info, len(episode.actions) // 2)
    figure.draw_without_rendering()  # the layout knows the size of equal axes, and so the place of titles, from now on
    figure.savefig(path, dpi=130)
    return path


def _draw_step(axis: Axes, episode: Episode, info: EnvInfo, step: int) -> None:
    """The DAG of one step, and who took the last action of the list: in Aloha, who sends."""
    colours = [GREEN if action == info.n_actions - 1 else GREY for action in episode.actions[step]]
    _draw_graph(axis, episode.adjacency[step], info, colours)
    n_edges = int(episode.adjacency[step].sum())
    axis.set_title(f"step {step}: {n_edges} edges\ngreen takes action {info.n_actions - 1}, grey another", fontsize=10)


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

"""The pictures of a policy study; every axis with its unit."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_mappo.analysis.policy_study import Mean, Study, mean_interval

mpl.use("Agg")
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a8f98"  # distinct for colour-blind eyes too
MOST_BARS = 45  # edges in one picture


def draw_all(study: Study, folder: Path) -> dict[str, Path]:
    """Every picture as PNG in the folder, by title."""
    drawn = {"Edges": _edges(study), "Message loss": _losses(study), "Communication": _communication(study)}
    if study.edges:
        drawn["Value of each edge"] = _values(study)
    paths = {title: folder / f"{title.lower().replace(' ', '_')}.png" for title in drawn}
    for title, figure in drawn.items():
        figure.savefig(paths[title], dpi=110)
    return paths


def _edges(study: Study) -> Figure:
    """Three matrices, parent by child: how often, how much information, what it is worth."""
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    tables = np.full((3, study.n_agents, study.n_agents), np.nan)
    for edge in study.edges:
        tables[:, edge.parent, edge.child] = edge.share, edge.information.mean, edge.value.mean
    titles = ("share of the steps with the edge", "conditional mutual information", "value: return lost by cutting")
    units = ("share of steps", "bits a step", "return of an episode")
    for axes, table, title, unit in zip(figure.subplots(1, 3), tables, titles, units, strict=True):
        norm = mpl.colors.SymLogNorm(_linear_part(table)) if unit.startswith("return") else None
        top = 1.0 if unit.startswith("share") else None
        limits = {"norm": norm} if norm else {"vmin": 0.0, "vmax": top}
        picture = axes.imshow(table, cmap="cividis", **limits)
        figure.colorbar(picture, ax=axes, label=unit, shrink=0.8)
        axes.set(title=title, xlabel="child (agent)", ylabel="parent (agent)")
        axes.set_xticks(range(study.n_agents))
        axes.set_yticks(range(study.n_agents))
    figure.suptitle(f"means of {len(study.plain)} episodes; white: no such edge", fontsize=10)
    return figure


def _linear_part(table: np.ndarray) -> float:
    """Below this a value's colour is linear, above logarithmic."""
    return float(max(np.nanmax(np.abs(table), initial=0.0) / 100, 1e-3))


def _values(study: Study) -> Figure:
    """Value of the edges with intervals, the most valuable on top, beside their information."""
    edges = study.edges[:MOST_BARS]
    figure = Figure(figsize=(10, 1.4 + 0.22 * len(edges)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _intervals(left, [edge.value for edge in edges])
    _intervals(right, [edge.information for edge in edges])
    largest = max(abs(edge.value.mean) for edge in edges)
    left.set_xscale("symlog", linthresh=max(largest / 1000, 0.1))
    left.axvline(0, color=GREY, linewidth=0.8)
    left.set_yticks(range(len(edges)), [f"{edge.parent} → {edge.child}" for edge in edges], fontsize=8)
    left.invert_yaxis()
    left.set(xlabel="return lost by cutting the edge (an episode)", ylabel="edge: parent → child")
    right.set(xlabel="conditional mutual information (bits a step)")
    figure.suptitle(f"mean and 95 % bootstrap interval, {len(study.plain)} episodes", fontsize=10)
    return figure


def _intervals(axes: Axes, means: list[Mean]) -> None:
    place = np.arange(len(means))
    axes.hlines(place, [m.low for m in means], [m.high for m in means], color=BLUE, linewidth=2)
    axes.plot([m.mean for m in means], place, "o", color=ORANGE, markersize=4)
    axes.grid(alpha=0.25, axis="x")


def _losses(study: Study) -> Figure:
    """Return against the probability that a message is lost."""
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    losses = sorted(study.losing)
    means = mean_interval(np.stack([study.losing[loss] for loss in losses], axis=1))
    axes.fill_between(losses, [m.low for m in means], [m.high for m in means], color=BLUE, alpha=0.25)
    axes.plot(losses, [m.mean for m in means], "o-", color=BLUE)
    span = max(m.mean for m in means) - min(m.mean for m in means)
    if span > 50:  # collisions cost a hundred times what a message earns
        axes.set_yscale("symlog", linthresh=10)
    axes.set(xlabel="probability that a message is lost", ylabel="return of an episode")
    axes.set_title(f"mean and 95 % bootstrap interval, {len(study.plain)} episodes", fontsize=10)
    axes.grid(alpha=0.25)
    return figure


def _communication(study: Study) -> Figure:
    """Messages and rounds a step, over the course of an episode."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    labels = {"messages": "messages a step", "depth": "rounds of communication a step"}
    for axes, (name, label), colour in zip(figure.subplots(1, 2), labels.items(), (BLUE, ORANGE), strict=True):
        values = study.per_time[name]
        axes.plot(np.arange(len(values)), values, "o-", color=colour, markersize=3)
        axes.set_ylim(0, max(values.max() * 1.1, 1))
        axes.set(xlabel="step of the episode", ylabel=label)
        axes.grid(alpha=0.25)
    return figure

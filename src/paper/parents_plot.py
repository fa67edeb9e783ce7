"""Figures 7 to 9 as pictures: parents against random parents along the training, by agent, and the number of edges."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_mappo.analysis.figures import save, tidy
from bn_mappo.paper.courses import Course
from bn_mappo.paper.figure4_plot import NOTE, seeds_of
from bn_mappo.paper.parents import ParentFigure, mean_over_training, random_band

mpl.use("Agg")
PARENTS, OTHERS, RANDOM = "#6a3d9a", "#d9822b", "#444444"


def draw_parents(courses: Sequence[Course], kind: ParentFigure, target: Path) -> None:
    """Write target.png and target.svg: a column a course."""
    figure = Figure(figsize=(max(5.0 * len(courses), 6.5), 8.2), layout="constrained")
    axes = figure.subplots(3, len(courses), squeeze=False, sharex="col", height_ratios=[2.2, 2.2, 1])
    for column, course in enumerate(courses):
        draw_together(axes[0, column], course, kind)
        draw_by_agent(axes[1, column], course, kind)
        draw_edges(axes[2, column], course)
        axes[0, column].set_title(f"{course.map_name} (Skirmish), {course.variant}", fontsize=10)
        for axis in axes[:, column]:
            mark_breaks(axis, course)
            tidy(axis)
    axes[0, 0].set_ylabel(kind.label, fontsize=9)
    axes[1, 0].set_ylabel("the same, by the agent\nthat chooses", fontsize=9)
    handles, words = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncol=2, frameon=False, fontsize=9)
    figure.supxlabel(
        f"Means over {seeds_of(course.seeds for course in courses)}, thin: each seed; grey: where 95 % of means of "
        "random parents lie,\nsteps taken as independent. Points with few parents are left out. "
        "Dotted: break points of the annealing.",
        **NOTE,
    )
    save(figure, target)


def draw_together(axis: Axes, course: Course, kind: ParentFigure) -> None:
    """All agents: parents, candidates that were not chosen, and random parents with their band."""
    parents, others, random = (
        mean_over_training(course, kind.quantity, f"{name}_mean") for name in ("parents", "others", "random")
    )  # [C, S] each
    band = 1.96 * random_band(course, kind.quantity)  # [C]
    middle = random.mean(1)
    axis.fill_between(course.steps, middle - band, middle + band, color=RANDOM, alpha=0.25, linewidth=0)
    axis.plot(course.steps, middle, color=RANDOM, linestyle="--", linewidth=1.2, zorder=5, label="random parents")
    axis.plot(course.steps, others.mean(1), color=OTHERS, linewidth=1.2, label="candidates not chosen")
    axis.plot(course.steps, parents, color=PARENTS, linewidth=0.5, alpha=0.5)
    axis.plot(course.steps, parents.mean(1), color=PARENTS, linewidth=2, marker="o", markersize=3, label="parents")


def draw_by_agent(axis: Axes, course: Course, kind: ParentFigure) -> None:
    """The parents of each agent."""
    n_agents = course.facts[0][0].kl.shape[1]
    for agent in range(1, n_agents):
        means = mean_over_training(course, kind.quantity, "parents_mean", agent).mean(1)  # [C]
        axis.plot(course.steps, means, linewidth=1.2, **agent_style(agent, n_agents))
    axis.legend(frameon=False, fontsize=7, ncol=3 if n_agents > 7 else 2)


def agent_style(agent: int, n_agents: int) -> dict[str, Any]:
    """Colour and name of an agent."""
    return {"color": mpl.colormaps["viridis"](agent / max(n_agents - 1, 1)), "label": f"agent {agent}"}


def draw_edges(axis: Axes, course: Course) -> None:
    """How many edges there are: where there are few, the means above are of few."""
    axis.plot(course.steps, course.edges.mean(1), color="#111111", linewidth=1.2)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("edges a step", fontsize=9)
    axis.set_xlabel("environment steps")


def mark_breaks(axis: Axes, course: Course) -> None:
    """The break points of the annealing."""
    axis.set_xlim(0, 1.02 * max(course.t_max, course.steps[-1]))
    for share in course.breaks or ():
        axis.axvline(share * course.t_max, color="#888888", linewidth=0.8, linestyle=":")

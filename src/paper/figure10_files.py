"""The picture and the files of figure 10, and the command from settings to files."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bn_mappo.analysis.figures import save, tidy
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.paper.courses import Course, make_courses, write_rows
from bn_mappo.paper.figure4_plot import NOTE, seeds_of
from bn_mappo.paper.figure10 import Divergence, diverge, mean_kl, rows_of
from bn_mappo.paper.parents_files import none_or
from bn_mappo.paper.parents_plot import agent_style, draw_edges, mark_breaks
from bn_mappo.paper.smac_plan import SmacPlan
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.trainings import trainings

mpl.use("Agg")
CLAIM = (
    "What the paper says (its section 7.4.4 and figure 10): agents with more possible parents are more multi-modal "
    "(the last one most on 6h_vs_8z, agent 8, here 7, on MMM2), and multi-modality goes with the edges, to zero."
)
MEASURE = (
    "KL(pi^i(. | o^i, a^{P^i}) || pi^i(. | o^i, no parents)) in nats, mean over the steps in which the agent lives, "
    "with actions and DAGs sampled as in training. It measures how much an agent's distribution depends on its "
    "parents in the states that the policy visits; it is an indication of multi-modality, as in the paper, not a "
    "count of modes."
)


def make_figure10(plan: SmacPlan, folder: Path, runs: Path, n_episodes: int, machines: Machines) -> list[Cell]:
    """Run and measure what is missing, then write all files; returns the cells that failed."""
    started = time.perf_counter()
    courses, cells, failed = make_courses(plan, runs, n_episodes, machines)
    if courses:
        found = [diverge(course) for course in courses]
        folder.mkdir(parents=True, exist_ok=True)
        draw_figure10(courses, folder / "fig10")
        write_rows(folder / "fig10.csv", ("map", "variant", "seed", "env_steps", "agent", "kl"), rows_of(courses))
        write_summary(found, n_episodes, folder / "summary.json")
        seconds = time.perf_counter() - started
        (folder / "report.md").write_text(render_report(found, n_episodes, seconds, trainings(cells, runs)))
    return failed


def draw_figure10(courses: Sequence[Course], target: Path) -> None:
    """Write target.png and target.svg: a column a course."""
    figure = Figure(figsize=(max(5.0 * len(courses), 6.5), 6.0), layout="constrained")
    axes = figure.subplots(2, len(courses), squeeze=False, sharex="col", height_ratios=[2.5, 1])
    for column, course in enumerate(courses):
        kl = mean_kl(course)  # [C, S, N]
        top, n_agents = axes[0, column], kl.shape[-1]
        for agent in range(1, n_agents):
            top.plot(course.steps, kl[:, :, agent].mean(1), linewidth=1.2, **agent_style(agent, n_agents))
        top.plot(course.steps, kl.mean((1, 2)), color="black", linewidth=2, label="all agents")
        top.set_title(f"{course.map_name} (Skirmish), {course.variant}", fontsize=10)
        top.set_ylim(bottom=0)
        top.legend(frameon=False, fontsize=7, ncol=2)
        draw_edges(axes[1, column], course)
        for axis in axes[:, column]:
            mark_breaks(axis, course)
            tidy(axis)
    axes[0, 0].set_ylabel("KL to the same policy\nwithout edges (nats)", fontsize=9)
    note = f"Means over {seeds_of(course.seeds for course in courses)}. Dotted: break points of the annealing."
    figure.supxlabel(f"{note} Agent 0 never has a parent.", **NOTE)
    save(figure, target)


def write_summary(found: Sequence[Divergence], n_episodes: int, path: Path) -> None:
    """As JSON; what is not a number is null."""
    names = ("before", "at_end", "change", "rank")
    rows = [
        {"map": d.map_name, "variant": d.variant, "seeds": d.n_seeds, "falls": d.falls, "by_number": d.by_number}
        | {name: [none_or(x) for x in getattr(d, name)] for name in names}
        for d in found
    ]
    content = {"provenance": provenance(), "episodes": n_episodes, "divergence": rows}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def render_report(found: Sequence[Divergence], n_episodes: int, seconds: float, runs: str) -> str:
    """The report in Markdown."""
    rows = [
        [d.map_name, d.variant, d.n_seeds, d.before, d.at_end, d.change, d.falls, d.rank, d.by_number] for d in found
    ]
    sections = [
        "# Figure 10: divergence from the policy without edges",
        CLAIM,
        listed(provenance()),
        f"This command took {seconds:.0f} s; runs and measurements that it found were not made again.",
        "![figure 10](fig10.png)",
        MEASURE,
        table(
            (
                "map",
                "variant",
                "seeds",
                "before edges go",
                "at the end",
                "change",
                "with the edges",
                "rank correlation with the agent's number",
                "agents with more possible parents diverge",
            ),
            rows,
        ),
        f"Means over agents, with Student's 95 % intervals over seeds; {n_episodes} games of each checkpoint.",
        "## Trainings",
        runs,
    ]
    return "\n\n".join(sections) + "\n"

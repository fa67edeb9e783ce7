"""The picture and the files of the comparison of communication, and the command from settings to files."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_mappo.analysis.figures import save, tidy
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.paper.communication import Cost, Duel, duels, play_costs
from bn_mappo.paper.courses import write_rows
from bn_mappo.paper.figure4_plot import NOTE, seeds_of
from bn_mappo.paper.parents_files import none_or
from bn_mappo.paper.smac_plan import SmacPlan
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid
from bn_mappo.sweep.trainings import trainings

mpl.use("Agg")
MARKS = {"learned": ("#d9822b", "o"), "distance": ("#2e7d32", "s"), "random": ("#8a8f98", "^"), "": ("#1b6ca8", "D")}
PLACES = {"learned": (6, 5), "distance": (6, -11), "random": (-22, -11), "": (-8, 9)}  # of names, beside their points
WORDS = {
    "learned": "learned, annealed to a share of the edges",
    "distance": "between the nearest agents",
    "random": "at random",
    "": "the paper's variants",
}
METHOD = (
    "Last checkpoints, the likeliest actions; graphs at zero noise, but for learned_P, whose graphs are sampled "
    "as in training, where they have P % of the edges on average. An edge tells the child which of A actions its "
    "parent takes: log2 A bits. Bits are those of the whole team in a step, and count edges between living "
    "agents. Depth is the number of edges on the longest path: rounds of communication before all have acted. A "
    "name such as learned_25 means 25 % of the edges of the full DAG."
)


def make_communication(plan: SmacPlan, folder: Path, runs: Path, n_episodes: int, machines: Machines) -> list[Cell]:
    """Run and play what is missing, then write all files; returns the cells that failed."""
    started, cells = time.perf_counter(), plan.cells()
    failed = run_grid(cells, runs, machines)
    costs = play_costs(plan, runs, n_episodes, machines.processes)
    if costs:
        found = duels(costs)
        folder.mkdir(parents=True, exist_ok=True)
        draw_costs(costs, n_episodes, folder / "communication")
        header = ("map", "variant", "seed", "battles_won", "edges", "bits", "depth")
        write_rows(folder / "communication.csv", header, rows_of(costs))
        write_summary(costs, found, n_episodes, folder / "summary.json")
        seconds = time.perf_counter() - started
        (folder / "report.md").write_text(render_report(costs, found, n_episodes, seconds, trainings(cells, runs)))
    return failed


def kind_of(variant: str) -> str:
    """learned, distance or random, where the variant has a number of edges; else empty."""
    kind, _, percent = variant.partition("_")
    return kind if percent.isdigit() else ""


def draw_costs(costs: Sequence[Cost], n_episodes: int, target: Path) -> None:
    """Write target.png and target.svg: a row a map, against bits and against depth."""
    maps = list(dict.fromkeys(cost.map_name for cost in costs))
    figure = Figure(figsize=(11, 3.9 * len(maps) + 0.9), layout="constrained")
    axes = figure.subplots(len(maps), 2, squeeze=False, sharey="row")
    for row, map_name in enumerate(maps):
        mine = [cost for cost in costs if cost.map_name == map_name]
        for axis, name in zip(axes[row], ("bits", "depth"), strict=True):
            draw_points(axis, mine, name)
            tidy(axis)
        axes[row, 0].set_ylabel(f"{map_name} (Skirmish)\nbattles won, greedy")
        axes[row, 0].set_xlabel("bits a step, of the whole team")
        axes[row, 1].set_xlabel("rounds of communication a step (depth of the DAG)")
    handles, words = axes[0, 0].get_legend_handles_labels()
    first = dict(zip(words, handles, strict=True))
    figure.legend(first.values(), first.keys(), loc="outside upper center", ncol=2, frameon=False, title="edges")
    figure.supxlabel(
        f"Interquartile means over {seeds_of(cost.seeds for cost in costs)} with 95 % bootstrap intervals; "
        f"last checkpoints, {n_episodes:,} games each.",
        **NOTE,
    )
    save(figure, target)


def draw_points(axis: Axes, costs: Sequence[Cost], name: str) -> None:
    """A point a variant, with its interval and its name."""
    for cost in costs:
        kind = kind_of(cost.variant)
        (colour, marker), score, x = MARKS[kind], cost.score, float(getattr(cost, name).mean())
        style: dict[str, Any] = {"color": colour, "linewidth": 1.2, "alpha": 0.6}
        axis.plot([x, x], [score.low, score.high], **style)
        axis.plot(x, score.value, marker, color=colour, markersize=6, label=WORDS[kind])
        text = f"{cost.variant.rpartition('_')[2]} %" if kind else cost.variant
        place: dict[str, Any] = {"textcoords": "offset points", "xytext": PLACES[kind], "fontsize": 7, "color": colour}
        axis.annotate(text, (x, score.value), **place)
    axis.set_ylim(-0.03, 1.03)
    axis.margins(x=0.12)


def rows_of(costs: Sequence[Cost]) -> Iterator[tuple[object, ...]]:
    """One row a map, variant and seed."""
    for cost in costs:
        for seed, *values in zip(cost.seeds, cost.won, cost.edges, cost.bits, cost.depth, strict=True):
            yield (cost.map_name, cost.variant, seed, *map(float, values))


def write_summary(costs: Sequence[Cost], found: Sequence[Duel], n_episodes: int, path: Path) -> None:
    """Scores and duels as JSON."""
    content = {
        "provenance": provenance(),
        "episodes": n_episodes,
        "costs": [
            {"map": c.map_name, "variant": c.variant, "seeds": list(c.seeds)}
            | c.score._asdict()
            | {name: float(getattr(c, name).mean()) for name in ("edges", "bits", "depth")}
            for c in costs
        ],
        "duels": [
            {"map": d.map_name, "percent": d.percent, "rule": d.rule, "edges": d.edges, "verdict": d.verdict}
            | {"probability": d.contest.probability._asdict(), "p_value": none_or(d.contest.p_value)}
            for d in found
        ],
    }
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def render_report(costs: Sequence[Cost], found: Sequence[Duel], n_episodes: int, seconds: float, runs: str) -> str:
    """The report in Markdown."""
    sections = [
        "# Communication: battles won against bits and rounds, and learned edges against a rule",
        listed(provenance()),
        f"This command took {seconds:.0f} s; runs that it found finished were not run again.",
        "![communication](communication.png)",
        f"{METHOD} {n_episodes:,} games of each seed.",
        table(
            ("map", "variant", "seeds", "battles won", "edges a step", "bits a step", "bits an agent", "depth"),
            [cost_row(cost) for cost in costs],
        ),
        "Battles won: interquartile means over seeds with 95 % bootstrap intervals; the others are means over seeds.",
        "## Learned edges against a rule, at equal numbers of edges",
        "P(X > Y) over pairs of seeds, X the learned DAG. The verdict follows its 95 % interval.",
        table(
            ("map", "edges", "rule", "P(learned > rule)", "p of the rank test", "verdict"),
            [duel_row(d) for d in found],
        ),
        "## Trainings",
        runs,
    ]
    return "\n\n".join(sections) + "\n"


def cost_row(cost: Cost) -> list[str]:
    """One row of the table."""
    means = [f"{values.mean():.3g}" for values in (cost.edges, cost.bits, cost.bits / cost.n_agents, cost.depth)]
    return [cost.map_name, cost.variant, str(len(cost.seeds)), str(cost.score), *means]


def duel_row(duel: Duel) -> list[str]:
    """One row of the table."""
    contest = duel.contest
    p_value = "" if np.isnan(contest.p_value) else f"{contest.p_value:.3g}"
    return [duel.map_name, f"{duel.percent} %", duel.rule, str(contest.probability), p_value, duel.verdict]

"""Figure 4 from settings to files: the grid of runs, its statistics, picture, tables and report."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bn_mappo.analysis.comparison import Contest, Estimate, contest, interquartile_mean
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.analysis.report import references
from bn_mappo.config.schema import validate
from bn_mappo.core.errors import unknown
from bn_mappo.paper.figure4_plan import Panel, aloha_panel, coordination_panel
from bn_mappo.paper.figure4_plot import draw_figure4
from bn_mappo.paper.results import Curves, collect, write_csv, write_marl_eval
from bn_mappo.paper.smac_plan import ENV, smac_panel
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid

CLAIM = (
    "The paper's claim (its section 7 and figure 4): without regularisation, context-aware DAGs do best on the "
    "Coordination Game with N = 2, equal full ones with N = 5 and on Aloha, and all of them beat uncorrelated agents. "
    "On 6h_vs_8z they become almost full, and on MMM2 have about 70 % of the edges."
)


class Comparison(NamedTuple):
    """Whether one variant does better than another, over all pairs of seeds."""

    panel: str
    metric: str
    better: str
    worse: str
    contest: Contest

    @property
    def verdict(self) -> str:
        """'better' only where the interval of the probability lies on one side of one half."""
        if self.contest.outcome > 0:
            return f"{self.better} is better than {self.worse}"
        if self.contest.outcome < 0:
            return f"{self.worse} is better than {self.better}"
        return "undecided"

    def as_json(self) -> dict[str, object]:
        """For a summary; a p-value that is not there is null."""
        p_value = None if np.isnan(self.contest.p_value) else self.contest.p_value
        return {
            **{name: getattr(self, name) for name in ("panel", "metric", "better", "worse")},
            "probability": self.contest.probability._asdict(),
            "p_value": p_value,
            "verdict": self.verdict,
            "remark": self.contest.remark,
        }

    def as_row(self) -> list[str]:
        """For a report, under COMPARISON_HEADER."""
        p_value = "" if np.isnan(self.contest.p_value) else f"{self.contest.p_value:.3g}"
        verdict = f"{self.verdict} ({self.contest.remark})" if self.contest.remark else self.verdict
        return [self.metric, self.better, self.worse, str(self.contest.probability), p_value, verdict]


COMPARISON_HEADER = ("metric", "X", "Y", "P(X > Y) over pairs of seeds", "p of the rank test", "verdict")


def panels(
    env: str, n_agents: Sequence[int], maps: Sequence[str], preset: str | None, settings: Sequence[str]
) -> list[Panel]:
    """The panels of one command; `settings`, KEY=VALUE, hold for all of its runs."""
    if env == "aloha":
        found = [aloha_panel()]
    elif env == "coordination_game":
        found = [coordination_panel(n) for n in n_agents]
    elif env == ENV:
        return [smac_panel(name, preset, settings) for name in maps]
    else:
        raise unknown("environment", env, ["aloha", "coordination_game", ENV])
    return [replace(panel, settings=tuple(settings)) for panel in found]


def make_figure4(
    panels: Sequence[Panel], cells: Sequence[Cell], folder: Path, runs: Path, machines: Machines
) -> list[Cell]:
    """Run what is missing, then write the files from all finished runs; returns the cells that failed.

    Each cell has the key of its panel as its place below `runs`.
    """
    started = time.perf_counter()
    failed = run_grid(cells, runs, machines)
    curves = [c for panel in panels for c in collect(panel, [x for x in cells if x.place == panel.key], runs)]
    if curves:
        folder.mkdir(parents=True, exist_ok=True)
        write_figure4(panels, curves, folder, time.perf_counter() - started)
    return failed


def write_figure4(panels: Sequence[Panel], curves: list[Curves], folder: Path, seconds: float) -> None:
    """Picture, CSV, marl-eval JSON, summary and report of the finished runs."""
    marks = {panel.key: panel_references(panel) for panel in panels}
    finals = {
        (c.panel.key, c.variant, metric): interquartile_mean(c.final(metric)) for c in curves for metric in c.values
    }
    comparisons = compare(curves)
    origin = provenance()
    draw_figure4(curves, marks, folder / "fig4")
    write_csv(curves, folder / "fig4.csv")
    write_marl_eval(curves, folder / "marl_eval.json")
    summary = {
        "provenance": origin,
        "seconds": round(seconds, 1),
        "references": marks,
        "results": [
            {"panel": panel, "variant": variant, "metric": metric, "seeds": _seeds(curves, panel, variant)}
            | estimate._asdict()
            for (panel, variant, metric), estimate in finals.items()
        ],
        "comparisons": [c.as_json() for c in comparisons],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    (folder / "report.md").write_text(render_report(panels, curves, finals, comparisons, marks, origin, seconds))


def compare(curves: Sequence[Curves]) -> list[Comparison]:
    """Every pair of variants of a panel, by every metric that both have."""
    comparisons = []
    for x, y in combinations(curves, 2):
        for metric in x.values.keys() & y.values.keys() if x.panel.key == y.panel.key else ():
            result = contest(x.final(metric), y.final(metric))
            comparisons.append(Comparison(x.panel.key, metric, x.variant, y.variant, result))
    return comparisons


def panel_references(panel: Panel) -> dict[str, float]:
    """What scripted policies earn by the panel's first metric, where they have it."""
    quantity = panel.metrics[0].name.removeprefix("test_").removesuffix("_mean")
    if quantity not in ("return", "battle_won"):
        return {}
    known = references(validate(panel.cells(range(1), ("uncorrelated",))[0].settings()))
    return {name: means[quantity] for name, means in known.items()}


def render_report(
    panels: Sequence[Panel],
    curves: Sequence[Curves],
    finals: dict[tuple[str, str, str], Estimate],
    comparisons: Sequence[Comparison],
    marks: dict[str, dict[str, float]],
    origin: dict[str, str],
    seconds: float,
) -> str:
    """The report in Markdown."""
    sections = [
        "# Figure 4: what a learned DAG earns",
        CLAIM,
        listed(origin),
        f"This command took {seconds:.0f} s; runs that it found finished were not run again.",
        "![figure 4](fig4.png)",
    ]
    for panel in panels:
        mine = [c for c in curves if c.panel.key == panel.key]
        if mine:
            own = [c for c in comparisons if c.panel == panel.key]
            sections += _panel_sections(panel, mine, finals, own, marks.get(panel.key, {}))
    return "\n\n".join(sections) + "\n"


def _panel_sections(
    panel: Panel,
    curves: Sequence[Curves],
    finals: dict[tuple[str, str, str], Estimate],
    comparisons: Sequence[Comparison],
    marks: dict[str, float],
) -> list[str]:
    metrics = [m for m in panel.metrics if any(m.name in c.values for c in curves)]
    rows = []
    for c in curves:
        estimates = [finals.get((panel.key, c.variant, m.name), "the same DAG") for m in metrics]
        seeds = f"{len(c.seeds)} ({c.seeds[0]} to {c.seeds[-1]})"
        rows.append([c.variant, seeds, *map(str, estimates), f"{c.density[:, -1].mean():.2f}"])
    policies = "; ".join(f"{name} {value:.2f}" for name, value in marks.items())
    return [
        f"## {panel.title}",
        f"{int(curves[0].steps[-1]):,} environment steps a run. A run counts with the mean of its evaluations in the "
        f"last {panel.tail:.0%} of its steps. Interquartile means over seeds, with 95 % bootstrap intervals; density: "
        "mean of the DAGs in training at the end.",
        table(["variant", "seeds", *(m.label for m in metrics), "density"], rows),
        *([f"Scripted policies: {policies}."] if marks else []),
        table(COMPARISON_HEADER, [c.as_row() for c in comparisons]),
    ]


def _seeds(curves: Sequence[Curves], panel: str, variant: str) -> list[int]:
    return next(list(c.seeds) for c in curves if (c.panel.key, c.variant) == (panel, variant))

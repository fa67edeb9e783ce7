"""Figure 4 from settings to files: the grid of runs, its statistics, picture, tables and report."""

import json
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from bn_mappo.analysis.comparison import Estimate, interquartile_mean, probability_of_improvement
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.analysis.report import references
from bn_mappo.config.schema import validate
from bn_mappo.paper.figure4_plan import Panel
from bn_mappo.paper.figure4_plot import draw_figure4
from bn_mappo.paper.grid import Cell, run_grid
from bn_mappo.paper.results import Curves, collect, write_csv, write_marl_eval

CLAIM = (
    "The paper's claim (its section 7 and figure 4): without regularisation, context-aware DAGs do best on the "
    "Coordination Game with N = 2, equal full ones with N = 5 and on Aloha, and all of them beat uncorrelated agents."
)


class Comparison(NamedTuple):
    """Whether one variant does better than another, over all pairs of seeds."""

    panel: str
    metric: str
    better: str
    worse: str
    probability: Estimate

    @property
    def verdict(self) -> str:
        """'better' only where the interval of the probability lies above one half."""
        if self.probability.low > 0.5:
            return f"{self.better} is better than {self.worse}"
        if self.probability.high < 0.5:
            return f"{self.worse} is better than {self.better}"
        return "undecided"


def make_figure4(panels: Sequence[Panel], cells: dict[str, list[Cell]], folder: Path, workers: int) -> list[Cell]:
    """Run what is missing, then write the files from all finished runs; returns the cells that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    failed: list[Cell] = []
    curves: list[Curves] = []
    for panel in panels:
        failed += run_grid(cells[panel.key], folder / "runs" / panel.key, workers)
        curves += collect(panel, cells[panel.key], folder / "runs" / panel.key)
    if curves:
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
        "comparisons": [
            {**c._asdict(), "probability": c.probability._asdict(), "verdict": c.verdict} for c in comparisons
        ],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    (folder / "report.md").write_text(render_report(panels, curves, finals, comparisons, marks, origin, seconds))


def compare(curves: Sequence[Curves]) -> list[Comparison]:
    """Every pair of variants of a panel, by every metric that both have."""
    comparisons = []
    for x, y in combinations(curves, 2):
        for metric in x.values.keys() & y.values.keys() if x.panel.key == y.panel.key else ():
            probability = probability_of_improvement(x.final(metric), y.final(metric))
            comparisons.append(Comparison(x.panel.key, metric, x.variant, y.variant, probability))
    return comparisons


def panel_references(panel: Panel) -> dict[str, float]:
    """Returns of scripted policies, where the panel shows returns."""
    if panel.metrics[0].name != "test_return_mean":
        return {}
    known = references(validate(panel.cells(range(1), ("uncorrelated",))[0].settings()))
    return {name: means["return"] for name, means in known.items()}


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
    pairs = [[c.metric, c.better, c.worse, str(c.probability), c.verdict] for c in comparisons]
    policies = "; ".join(f"{name} {value:.2f}" for name, value in marks.items())
    return [
        f"## {panel.title}",
        f"{int(curves[0].steps[-1]):,} environment steps a run. A run counts with the mean of its evaluations in the "
        f"last {panel.tail:.0%} of its steps. Interquartile means over seeds, with 95 % bootstrap intervals; density: "
        "mean of the DAGs in training at the end.",
        table(["variant", "seeds", *(m.label for m in metrics), "density"], rows),
        *([f"Scripted policies: {policies}."] if marks else []),
        table(["metric", "X", "Y", "P(X > Y) over pairs of seeds", "verdict"], pairs),
    ]


def _seeds(curves: Sequence[Curves], panel: str, variant: str) -> list[int]:
    return next(list(c.seeds) for c in curves if (c.panel.key, c.variant) == (panel, variant))

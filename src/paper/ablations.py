"""What each defect of the released code does to the result: Aloha with the learned DAG, one change at a time."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bn_mappo.analysis.comparison import Estimate, interquartile_mean, probability_of_improvement
from bn_mappo.analysis.figures import save
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.paper.figure4_plan import Panel, aloha_panel
from bn_mappo.paper.results import Curves, collect, write_csv
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid

mpl.use("Agg")
METRIC = "test_return_mean"
CORRECTED = "corrected"


@dataclass(frozen=True)
class Ablation:
    """One defect, as the settings that bring it back."""

    description: str
    overrides: tuple[str, ...] = ()
    compared_with: str = CORRECTED  # the variant that differs from it by the defect alone


SCALAR = "env_args.obs_coding=scalar"
SINKHORN = ("dag.permutation=gumbel_sinkhorn",)
ABLATIONS = {
    CORRECTED: Ablation("our defaults"),
    "dag_resampled": Ablation("edges drawn anew in every epoch", ("dag.noise=resample",)),
    "parents_resampled": Ablation("parents' actions drawn anew in every epoch", ("dag.parent_actions=resampled",)),
    "both_resampled": Ablation(
        "edges and parents' actions drawn anew", ("dag.noise=resample", "dag.parent_actions=resampled")
    ),
    "unclipped_dag": Ablation("DAG networks outside the gradient clipping", ("dag.clip_gradients=false",)),
    "spurious_neighbour": Ablation("islands 4 and 5 collide as well", ("env_args.adjacency=casec",)),
    "scalar": Ablation("backlog as one number, not one-hot (no defect)", (SCALAR,)),
    "fixed_order": Ablation("agents act in the order 1..10 (no defect)", ("dag.permutation=identity",)),
    "sinkhorn_order": Ablation("order learned through Sinkhorn's matrix, the paper's way (no defect)", SINKHORN),
    "sinkhorn_resampled": Ablation(
        "Sinkhorn's order, DAG drawn anew in every epoch", (*SINKHORN, "dag.noise=resample"), "sinkhorn_order"
    ),
    "blind": Ablation("backlog as one number under LayerNorm: blind to it", (SCALAR, "obs_layer_norm=true"), "scalar"),
}


@dataclass(frozen=True)
class Outcome:
    """What one variant earned, and how it compares."""

    variant: str
    seeds: tuple[int, ...]
    result: Estimate
    improvement: Estimate | None  # P(the variant without the defect > this one); None: nothing to compare with

    @property
    def verdict(self) -> str:
        """'worse' or 'better' only where the interval of the probability excludes one half."""
        if self.improvement is None:
            return ""
        if self.improvement.low > 0.5:
            return "worse"
        return "better" if self.improvement.high < 0.5 else "undecided"


def ablation_cells(names: Sequence[str], seeds: range, t_max: int) -> list[Cell]:
    """One run a seed and variant, all variants of a seed together."""
    panel = aloha_panel()
    often = (f"test_interval={max(t_max // 40, 1)}", f"save_model_interval={max(t_max // 5, 1)}")
    return [
        Cell(name, seed, "bn_mappo", panel.env_config, t_max, (*panel.overrides, *often, *ABLATIONS[name].overrides))
        for seed in seeds
        for name in names
    ]


def make_ablations(cells: Sequence[Cell], folder: Path, machines: Machines) -> list[Cell]:
    """Run what is missing, then write the files from all finished runs; returns the cells that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    failed = run_grid(cells, folder / "runs", machines)
    panel = aloha_panel()
    curves = collect(panel, cells, folder / "runs")
    if curves:
        outcomes = compare(curves)
        write_csv(curves, folder / "ablations.csv")
        draw(outcomes, folder / "ablations")
        write_report(panel, curves, outcomes, folder, time.perf_counter() - started)
    return failed


def compare(curves: Sequence[Curves]) -> list[Outcome]:
    """Each variant against the one that differs from it by the defect alone."""
    finals = {c.variant: c.final(METRIC) for c in curves}
    outcomes = []
    for c in curves:
        other = ABLATIONS[c.variant].compared_with
        is_comparable = other != c.variant and other in finals
        improvement = probability_of_improvement(finals[other], finals[c.variant]) if is_comparable else None
        outcomes.append(Outcome(c.variant, c.seeds, interquartile_mean(finals[c.variant]), improvement))
    return outcomes


def draw(outcomes: Sequence[Outcome], target: Path) -> None:
    """Write target.png and target.svg: each variant's interquartile mean with its interval."""
    figure = Figure(figsize=(8.4, 0.42 * len(outcomes) + 1.2), layout="constrained")
    axis = figure.subplots()
    for row, outcome in enumerate(outcomes):
        value, low, high = outcome.result
        colour = "#2e7d32" if outcome.variant == CORRECTED else "#1b6ca8"
        axis.plot([low, high], [row, row], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axis.plot(value, row, "o", color=colour, markersize=5)
    axis.set_yticks(range(len(outcomes)), [ABLATIONS[o.variant].description for o in outcomes], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("greedy return of an episode\ninterquartile mean over seeds, 95 % interval", fontsize=9)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, target, dpi=150)


def write_report(
    panel: Panel, curves: Sequence[Curves], outcomes: Sequence[Outcome], folder: Path, seconds: float
) -> None:
    """summary.json and report.md."""
    origin = provenance()
    steps = int(curves[0].steps[-1])
    rows = [
        [
            o.variant,
            ABLATIONS[o.variant].description,
            " ".join(ABLATIONS[o.variant].overrides),
            f"{len(o.seeds)} ({o.seeds[0]} to {o.seeds[-1]})",
            o.result,
            "" if o.improvement is None else f"{o.improvement} of {ABLATIONS[o.variant].compared_with}",
            o.verdict,
        ]
        for o in outcomes
    ]
    header = ["variant", "what it changes", "settings", "seeds", "greedy return", "P(better without it)", "with it"]
    sections = [
        "# Ablations: what each defect of the released code does",
        listed(origin),
        f"This command took {seconds:.0f} s; runs that it found finished were not run again.",
        f"{panel.title}, learned DAG, {steps:,} environment steps a run. A run counts with the mean of its evaluations "
        f"in the last {panel.tail:.0%} of its steps. Interquartile means over seeds, with 95 % bootstrap intervals.",
        "![ablations](ablations.png)",
        table(header, rows),
    ]
    (folder / "report.md").write_text("\n\n".join(sections) + "\n")
    summary = {
        "provenance": origin,
        "seconds": round(seconds, 1),
        "env_steps": steps,
        "results": [
            {
                "variant": o.variant,
                "seeds": list(o.seeds),
                "overrides": list(ABLATIONS[o.variant].overrides),
                **o.result._asdict(),
                "compared_with": None if o.improvement is None else ABLATIONS[o.variant].compared_with,
                "improvement": None if o.improvement is None else o.improvement._asdict(),
                "verdict": o.verdict,
            }
            for o in outcomes
        ],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")

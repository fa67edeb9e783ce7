"""The files of figure 6: CSV, summary and report."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bn_mappo.analysis.comparison import interquartile_mean
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.paper.figure6 import Claim, Final
from bn_mappo.paper.results import Curves
from bn_mappo.paper.smac_plan import ANNEALED

CLAIM = (
    "The paper's central claim (its section 7.4.4 and figure 6): a policy that is trained along a DAG, whose edges are "
    "then annealed away, ends as a policy that needs no communication, and beats one that was trained without edges "
    "throughout."
)
EDGE_FREE = 0.05  # edges a step, below which a policy is called free of communication by itself


class Figure6(NamedTuple):
    """All of its results."""

    curves: list[Curves]
    finals: list[Final]
    claims: list[Claim]
    n_episodes: int
    seconds: float


def write_finals(finals: Sequence[Final], path: Path) -> None:
    """One row a map, variant and seed."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["map", "variant", "seed", "battles_won", "return", "edges_a_step"])
        for f in finals:
            for row in zip(f.seeds, f.won, f.returns, f.edges, strict=True):
                writer.writerow([f.map_name, f.variant, row[0], *(f"{value:.6g}" for value in row[1:])])


def write_summary(result: Figure6, path: Path) -> None:
    """Scores and claims as JSON."""
    content = {
        "provenance": provenance(),
        "seconds": round(result.seconds, 1),
        "episodes": result.n_episodes,
        "finals": [
            {"map": f.map_name, "variant": f.variant, "seeds": list(f.seeds), "edges": float(f.edges.mean())}
            | f.score._asdict()
            for f in result.finals
        ],
        "claims": [
            {
                "where": claim.where,
                "probability": claim.contest.probability._asdict(),
                "p_value": None if np.isnan(claim.contest.p_value) else claim.contest.p_value,
                "outcome": claim.contest.outcome,
                "verdict": claim.verdict,
            }
            for claim in result.claims
        ],
    }
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def render_report(result: Figure6, runs: str) -> str:
    """The report in Markdown; `runs` tells of the trainings."""
    sections = [
        "# Figure 6: annealed to a policy without communication",
        CLAIM,
        listed(provenance()),
        f"This command took {result.seconds:.0f} s; runs that it found finished were not run again.",
        "![figure 6](fig6.png)",
        "## The claim",
        f"Last checkpoints in {result.n_episodes:,} greedy games a seed. X: annealed, with every edge removed, so that "
        "no agent can see what another does; Y: uncorrelated. The verdict follows the interval of P(X > Y), a "
        "stratified bootstrap over seeds (rliable). With few seeds this interval is too narrow, so the rank test by "
        "permutation of the seeds stands beside it.",
        table(("where", "P(X > Y)", "p of the rank test", "verdict"), map(claim_row, result.claims)),
        "## Last checkpoints",
        table(
            ("map", "variant", "seeds", "battles won", "return", "edges a step"),
            [final_row(f) for f in result.finals],
        ),
        "Interquartile means over seeds with 95 % bootstrap intervals. Edges: between living agents, by greedy play.",
        *density_notes(result.finals),
        "## During training",
        training_table(result.curves),
        "## Trainings",
        runs,
    ]
    return "\n\n".join(sections) + "\n"


def claim_row(claim: Claim) -> list[str]:
    """One row of the table of claims."""
    p_value = claim.contest.p_value
    return [
        claim.where,
        str(claim.contest.probability),
        "" if np.isnan(p_value) else f"{p_value:.3g}",
        claim.verdict,
    ]


def final_row(final: Final) -> list[str]:
    """One row of the table of last checkpoints."""
    seeds = " ".join(map(str, final.seeds))
    returns = interquartile_mean(final.returns)
    return [final.map_name, final.variant, seeds, str(final.score), str(returns), f"{final.edges.mean():.3g}"]


def density_notes(finals: Sequence[Final]) -> list[str]:
    """Whether the annealed policies had really stopped to communicate before their edges were removed."""
    notes = []
    for final in finals:
        if final.variant == ANNEALED:
            left = float(final.edges.max())
            words = (
                "had no edges left by themselves"
                if left < EDGE_FREE
                else f"still had up to {left:.2g} edges a step, which the comparison has removed"
            )
            notes.append(f"On {final.map_name} the annealed policies {words}.")
    return notes


def training_table(curves: Sequence[Curves]) -> str:
    """The evaluations in the last part of the training, as figure 4 has them."""
    rows = []
    for c in curves:
        scores = [str(interquartile_mean(c.final(name))) for name in c.values]
        rows.append([c.panel.key, c.variant, " ".join(map(str, c.seeds)), *scores, f"{c.density[:, -1].mean():.3g}"])
    metrics = [metric.label for metric in curves[0].panel.metrics if metric.name in curves[0].values]
    note = f"Means of the evaluations in the last {curves[0].panel.tail:.0%} of the steps ({curves[0].steps[-1]:,.0f})."
    return table(("map", "variant", "seeds", *metrics, "density at the end"), rows) + f"\n\n{note}"

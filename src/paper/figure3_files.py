"""What figure 3 leaves on disk besides the picture: every evaluation as CSV, and the summary as JSON."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from bn_mappo.analysis.seed_statistics import summarise
from bn_mappo.paper.figure3 import Curves, Plan
from bn_mappo.paper.figure3_claims import by_key, convergence_iteration, final_difference, judge
from bn_mappo.tabular.corollary import Demonstration, contingency

COLUMNS = ["case", "n_agents", "reward_bound", "dag", "seed", "iteration"]
COLUMNS += ["value", "poa", "nash_gap", "nash_gap_state_only", "augmented_states", "lost", "lost_wrong"]


@dataclass(frozen=True)
class Figure3:
    """All results of one command."""

    plan: Plan
    curves: list[Curves]
    demonstrations: list[Demonstration]
    origin: dict[str, str]  # provenance
    seconds: float
    peak_memory_mib: float


def write_csv(curves: Sequence[Curves], path: Path) -> None:
    """One row for each case, DAG, seed and evaluation."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for c in curves:
            head = (c.case.label, c.case.game.n_agents, c.case.reward_bound, c.dag)
            for b, seed in enumerate(c.seeds):
                for e, iteration in enumerate(c.iteration):
                    exact = (c.value[e, b], c.poa[e, b], c.gap[e, b], c.gap_state_only[e, b])
                    counts = (c.augmented_states, int(c.lost[e, b]), int(c.lost_wrong[e, b]))
                    writer.writerow((*head, seed, iteration, *(f"{number:.10g}" for number in exact), *counts))


def write_summary(result: Figure3, path: Path) -> None:
    """Everything that the report prints, for programs."""
    path.write_text(json.dumps(summary(result), indent=2, allow_nan=False) + "\n")


def summary(result: Figure3) -> dict[str, object]:
    """Settings, numbers at the end, paired differences and verdicts."""
    results = by_key(result.curves)
    pairs = [
        {"case": label, "dag": x, "minus": y, **final_difference(results, label, x, y)._asdict()}
        for label in dict.fromkeys(c.case.label for c in result.curves)
        for x, y in combinations([dag for name, dag in results if name == label], 2)
    ]
    demonstrations = [
        {"game": d.game, "runs": len(d.poa), **contingency(d.poa, d.coverage.lost, d.coverage.lost_wrong)._asdict()}
        for d in result.demonstrations
    ]
    return {
        "provenance": result.origin,
        "seconds": result.seconds,
        "peak_memory_mib": result.peak_memory_mib,
        "seeds": result.plan.seeds,
        "iterations": result.plan.iterations,
        "evaluate_every": result.plan.evaluate_every,
        "settings": [_setting(c) for c in result.curves],
        "paired_differences_of_final_poa": pairs,
        "verdicts": [v._asdict() for v in judge(results)],
        "corollary_5_8": demonstrations,
    }


def _setting(curves: Curves) -> dict[str, object]:
    converged = convergence_iteration(curves)  # [B]
    measured = {"poa": curves.poa, "nash_gap": curves.gap, "nash_gap_state_only": curves.gap_state_only}  # [E, B] each
    final = {
        name: {key: None if np.isnan(number) else number for key, number in summarise(data[-1])._asdict().items()}
        for name, data in measured.items()
    }
    return {
        "case": curves.case.label,
        "n_agents": curves.case.game.n_agents,
        "reward_bound": curves.case.reward_bound,
        "dag": curves.dag,
        "step_size": curves.step_size,
        "optimal_value": curves.case.optimum,
        "seconds": curves.seconds,
        "final": final,
        "converged_seeds": int(np.isfinite(converged).sum()),
        "augmented_states": curves.augmented_states,
        "lost_mean": float(curves.lost[-1].mean()),
        "lost_wrong_mean": float(curves.lost_wrong[-1].mean()),
    }

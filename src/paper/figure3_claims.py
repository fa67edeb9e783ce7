"""The paper's claims about figure 3, each judged by a rule that is printed with the verdict."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bn_mappo.analysis.seed_statistics import PairedDifference, paired_difference
from bn_mappo.paper.figure3 import Curves
from bn_mappo.tabular.game import Array

Results = dict[tuple[str, str], Curves]  # by (label of the case, DAG)

GAP_NEAR_ZERO = 0.01  # of the optimal value: a mean Nash-gap below this counts as near zero
GAP_CONVERGED = 0.005  # of the optimal value: a seed has converged when its Nash-gap is first below this
OPTIMAL_POA = 0.999  # a seed at or above this counts as optimal

FEWEST_SEEDS = 10  # a bootstrap over fewer seeds decides nothing


class Verdict(NamedTuple):
    """One claim for one case."""

    claim: str
    case: str
    verdict: str
    evidence: str


def order_verdict(difference: PairedDifference) -> str:
    """Whether x > y is shown by a paired difference x - y."""
    if difference.seeds_above == difference.seeds_below == 0:
        return "equal on every seed"
    if difference.seeds < FEWEST_SEEDS:
        return f"not judged: fewer than {FEWEST_SEEDS} seeds"
    return {1: "holds", -1: "the opposite holds", 0: "not decided by these seeds"}[difference.sign]


def by_key(curves: Sequence[Curves]) -> Results:
    """The curves by (label, DAG)."""
    return {(c.case.label, c.dag): c for c in curves}


def final_difference(results: Results, label: str, dag: str, other: str) -> PairedDifference:
    """POA at the end, one DAG minus another, seed by seed."""
    return paired_difference(results[label, dag].poa[-1], results[label, other].poa[-1])


def convergence_iteration(curves: Curves) -> Array:
    """First evaluated iteration with Nash-gap below GAP_CONVERGED of the optimum, [B]; infinite where there is none."""
    below = curves.gap <= GAP_CONVERGED * curves.case.optimum  # [E, B]
    return np.where(below.any(axis=0), curves.iteration[below.argmax(axis=0)], np.inf)


def judge(results: Results) -> list[Verdict]:
    """Every claim for every case whose DAGs were run."""
    verdicts: list[Verdict] = []
    for label in dict.fromkeys(label for label, _ in results):
        dags = [dag for name, dag in results if name == label]
        verdicts += [_gap_vanishes(results[label, dag]) for dag in dags]
        for better, worse in (("full", "line"), ("line", "uncorrelated"), ("full", "uncorrelated")):
            if better in dags and worse in dags:
                difference = final_difference(results, label, better, worse)
                claim = f"POA of {better} above {worse}"
                verdicts.append(Verdict(claim, label, order_verdict(difference), in_words(difference)))
        if "full" in dags:
            verdicts.append(_full_is_not_optimal(results[label, "full"]))
            rivals = [dag for dag in ("line", "uncorrelated") if dag in dags]
            verdicts += [_full_is_slower(results[label, "full"], results[label, dag]) for dag in rivals]
        if results[label, dags[0]].case.game.n_agents == 2 and {"line", "full"} <= set(dags):
            verdicts.append(_curves_coincide(results[label, "line"], results[label, "full"]))
    return verdicts


def in_words(difference: PairedDifference) -> str:
    """A paired difference in one phrase."""
    d = difference
    return (
        f"difference {d.mean:+.4f}, 95 % interval [{d.low:+.4f}, {d.high:+.4f}]; "
        f"higher on {d.seeds_above}, lower on {d.seeds_below} of {d.seeds} seeds"
    )


def _gap_vanishes(curves: Curves) -> Verdict:
    start, end = curves.gap[0].mean(), curves.gap[-1].mean()
    relative = end / curves.case.optimum
    falls = end < curves.gap[len(curves.gap) // 2].mean()
    word = "holds" if relative <= GAP_NEAR_ZERO and falls else "does not hold within these iterations"
    evidence = (
        f"mean {start:.3f} at the start, {end:.3f} at the end ({relative:.2%} of the optimum), "
        f"median {np.median(curves.gap[-1]):.3f}, largest {curves.gap[-1].max():.3f}"
    )
    return Verdict(f"Nash-gap of {curves.dag} near zero, still falling", curves.case.label, word, evidence)


def _full_is_not_optimal(curves: Curves) -> Verdict:
    poa = curves.poa[-1]
    optimal = int((poa >= OPTIMAL_POA).sum())
    word = "holds" if optimal < len(poa) else "does not hold"
    evidence = f"{optimal} of {len(poa)} seeds reach POA {OPTIMAL_POA}; mean {poa.mean():.4f}, lowest {poa.min():.4f}"
    return Verdict("full does not reach POA 1 on every seed", curves.case.label, word, evidence)


def _full_is_slower(full: Curves, other: Curves) -> Verdict:
    gap = paired_difference(full.gap[-1], other.gap[-1])
    ours, theirs = convergence_iteration(full), convergence_iteration(other)
    evidence = (
        f"final Nash-gap: {in_words(gap)}; converged seeds {np.isfinite(ours).sum()} against "
        f"{np.isfinite(theirs).sum()}, median iteration {_middle(ours)} against {_middle(theirs)}"
    )
    return Verdict(f"full converges more slowly than {other.dag}", full.case.label, order_verdict(gap), evidence)


def _curves_coincide(line: Curves, full: Curves) -> Verdict:
    distance = float(np.abs(line.poa - full.poa).max())
    word = "holds" if distance == 0 else "does not hold"
    return Verdict("line and full are the same", line.case.label, word, f"largest difference in POA {distance:g}")


def _middle(iterations: Array) -> str:
    middle = np.sort(iterations)[(len(iterations) - 1) // 2]
    return f"{middle:.0f}" if np.isfinite(middle) else "beyond the end"

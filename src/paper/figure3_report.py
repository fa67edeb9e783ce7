"""The report on figure 3: what was run, what came out, and which claims of the paper hold."""

from collections.abc import Iterable, Sequence

import numpy as np

from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed
from bn_mappo.analysis.seed_statistics import summarise
from bn_mappo.paper.figure3 import Curves
from bn_mappo.paper.figure3_claims import (
    GAP_CONVERGED,
    GAP_NEAR_ZERO,
    Results,
    by_key,
    final_difference,
    in_words,
    judge,
)
from bn_mappo.paper.figure3_files import Figure3
from bn_mappo.tabular.ascent import RELEASED_STEP
from bn_mappo.tabular.corollary import OPTIMAL_POA, contingency
from bn_mappo.tabular.coverage import LOST_BELOW, WRONG_ABOVE


def render_report(result: Figure3) -> str:
    """The whole report in Markdown."""
    results = by_key(result.curves)
    sections = [
        "# Figure 3: exact policy gradients along fixed DAGs",
        _provenance(result),
        "![POA and Nash-gap](fig3.png)",
        "## At the last iteration\n\n" + _final_table(result.curves),
        "## Claim by claim\n\n" + _claims(results),
        "## The missing edge\n\n" + _missing_edge(results),
        "## Two definitions of the Nash-gap\n\n" + _two_gaps(result.curves),
        "## Corollary 5.8: visitation of (s, a^P)\n\n" + _visitation(result),
    ]
    return "\n\n".join(sections) + "\n"


def _provenance(result: Figure3) -> str:
    plan = result.plan
    origin = [
        listed(result.origin),
        f"- seeds: {len(plan.seeds)} ({plan.seeds[0]} to {plan.seeds[-1]}), theta from a standard normal",
        f"- {plan.iterations} iterations, evaluated every {plan.evaluate_every}; step: {plan.step}"
        + (f" ({RELEASED_STEP} * S / N on a normalised mu)" if plan.step == "released" else ""),
        f"- time: {result.seconds:.0f} s in all; peak memory {result.peak_memory_mib:.0f} MiB",
    ]
    return "\n".join(origin)


def _final_table(curves: Sequence[Curves]) -> str:
    rows = []
    for c in curves:
        poa, gap = summarise(c.poa[-1]), summarise(c.gap[-1])
        rows.append(
            (
                c.case.label,
                c.dag,
                f"{poa.mean:.4f} ± {poa.standard_error:.4f}",
                f"{poa.median:.4f} [{poa.low:.4f}, {poa.high:.4f}]",
                f"{gap.mean:.3f} ± {gap.standard_error:.3f}",
                f"{gap.median:.3f} [{gap.low:.3f}, {gap.high:.3f}]",
                f"{c.case.optimum:.3f}",
                f"{c.seconds:.1f}",
            )
        )
    header = ("case", "DAG", "POA mean ± s.e.", "POA median [95 %]", "gap mean ± s.e.", "gap median [95 %]", "V*", "s")
    return table(header, rows)


def _claims(results: Results) -> str:
    rules = (
        "Differences are paired over seeds; an order holds if the 95 % bootstrap interval of the mean difference "
        f"excludes 0. Near zero: a mean below {GAP_NEAR_ZERO:.0%} of the optimal value and below that of half the "
        f"iterations. Slower: a larger Nash-gap at the end; a seed has converged once its gap is below "
        f"{GAP_CONVERGED:.1%} of the optimal value."
    )
    return rules + "\n\n" + table(("claim", "case", "verdict", "evidence"), judge(results))


def _missing_edge(results: Results) -> str:
    rows = []
    for label in dict.fromkeys(label for label, _ in results):
        for dag, other in (("line", "line_released"), ("line_released", "uncorrelated"), ("full", "line_released")):
            if (label, dag) in results and (label, other) in results:
                rows.append((label, f"{dag} - {other}", in_words(final_difference(results, label, dag, other))))
    if not rows:
        return "Not run: this comparison needs `line_released`."
    text = (
        "`line_released` lacks the edge from agent N-1 to agent N, as in the released code; with N=2 it has no edge, "
        "so it is `uncorrelated`. Difference of POA at the end:"
    )
    shares = [
        share for label in dict.fromkeys(label for label, _ in results) for share in _shares_of_gain(results, label)
    ]
    return "\n\n".join((text, table(("case", "POA", "paired over seeds"), rows), *shares))


def _shares_of_gain(results: Results, label: str) -> list[str]:
    """How much of the gain of the full DAG over none each line has; nothing where full gains nothing."""
    dags = ("uncorrelated", "line_released", "line", "full")
    if any((label, dag) not in results for dag in dags):
        return []
    none, released, line, full = (float(results[label, dag].poa[-1].mean()) for dag in dags)
    if final_difference(results, label, "full", "uncorrelated").sign <= 0:
        return [f"{label}: full is not above uncorrelated, so there is no gain to share."]
    gain = full - none
    return [
        f"{label}: of the gain of full over uncorrelated ({gain:.4f}) the released line has "
        f"{(released - none) / gain:.0%}, the true line {(line - none) / gain:.0%}."
    ]


def _two_gaps(curves: Sequence[Curves]) -> str:
    rows = []
    for c in curves:
        full, weak = c.gap[-1], c.gap_state_only[-1]
        rows.append((c.case.label, c.dag, f"{full.mean():.4f}", f"{weak.mean():.4f}", int((weak < full - 1e-9).sum())))
    text = "`state_only` lets the deviating agent see s but not its parents' actions, as in the released code."
    header = ("case", "DAG", "mean gap on (s, a^P)", "mean gap on s", "seeds where the second is smaller")
    return text + "\n\n" + table(header, rows)


def _visitation(result: Figure3) -> str:
    text = (
        f"(s, a^P) is lost if its parents play a^P in s with probability below {LOST_BELOW}; lost wrong if, besides, "
        f"the agent's policy there gives up more than {WRONG_ABOVE:.0%} of r_max - r_min. A run is optimal from POA "
        f"{OPTIMAL_POA}. The one-state games pay two agents for equal actions: the same for both actions, or 3 and 2."
    )
    groups, counts = [], []
    for d in result.demonstrations:
        cells = contingency(d.poa, d.coverage.lost, d.coverage.lost_wrong)
        groups.append((f"one state, {d.game} pay", "full", *_shares(cells), f"{d.poa.min():.4f}"))
    for c in result.curves:
        cells = contingency(c.poa[-1], c.lost[-1], c.lost_wrong[-1])
        groups.append((c.case.label, c.dag, *_shares(cells), f"{c.poa[-1].min():.4f}"))
        lost, wrong = _spread(c.lost[-1]), _spread(c.lost_wrong[-1])
        counts.append((c.case.label, c.dag, c.augmented_states, lost, wrong, _correlation(c)))
    first = table(("game", "DAG", "none lost", "some lost, none wrong", "some lost wrong", "lowest POA"), groups)
    header = ("case", "DAG", "(s, a^P)", "lost, mean (min to max)", "lost wrong", "correlation of POA with it")
    parts = (text, "Optimal runs of all runs in each group:", first, "Numbers of (s, a^P):", table(header, counts))
    return "\n\n".join(parts)


def _shares(cells: Iterable[tuple[int, int]]) -> list[str]:
    return [f"{optimal} of {runs}" if runs else "no such run" for optimal, runs in cells]


def _spread(counts: np.ndarray) -> str:
    return f"{counts.mean():.1f} ({counts.min():.0f} to {counts.max():.0f})"


def _correlation(curves: Curves) -> str:
    poa, wrong = curves.poa[-1], curves.lost_wrong[-1]
    return f"{np.corrcoef(poa, wrong)[0, 1]:+.2f}" if poa.std() > 0 and wrong.std() > 0 else "none lost"

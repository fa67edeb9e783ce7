"""Figure 6: annealing the DAG away, and the paper's central claim about the policy that is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bn_mappo.analysis.comparison import Contest, Estimate, contest, interquartile_mean
from bn_mappo.paper.measured import Job, last_jobs, measure, read_facts
from bn_mappo.paper.results import Array
from bn_mappo.paper.smac_plan import ANNEALED, SmacPanel, SmacPlan

VARIANTS = (ANNEALED, "full", "uncorrelated")
BASELINE = "uncorrelated"
ALONE = "annealed, edges removed"


@dataclass(frozen=True)
class Final:
    """The last checkpoints of one variant on one map in many greedy games; B seeds."""

    map_name: str
    variant: str  # of VARIANTS, or ALONE
    seeds: tuple[int, ...]
    won: Array  # [B] share of the games
    returns: Array  # [B] mean
    edges: Array  # [B] between living agents, a step

    @property
    def score(self) -> Estimate:
        """Interquartile mean over seeds of the share of games won."""
        return interquartile_mean(self.won)


class Claim(NamedTuple):
    """The annealed policy, acting without any edge, against the one that was trained without edges."""

    where: str  # a map, or "all maps"
    contest: Contest

    @property
    def verdict(self) -> str:
        """In words; it follows the interval of the probability alone."""
        words = {
            1: "the annealed policy without edges wins more than the uncorrelated one: the claim holds",
            -1: "the annealed policy without edges wins less than the uncorrelated one: the opposite of the claim",
            0: "undecided: these seeds do not tell the two apart",
        }[self.contest.outcome]
        return f"{words} ({self.contest.remark})" if self.contest.remark else words


def play_finals(plan: SmacPlan, runs: Path, n_episodes: int, processes: int) -> list[Final]:
    """Greedy games of the last checkpoints; of annealed policies also with all edges removed."""
    wanted: list[tuple[SmacPanel, str]] = [(panel, variant) for panel in plan.panels for variant in plan.variants]
    jobs: dict[tuple[str, str], dict[int, Job]] = {}
    for panel, variant in wanted:
        cells = plan.cells_of(panel, variant)
        jobs[panel.key, variant] = last_jobs(cells, runs, "greedy", n_episodes)
        if variant == ANNEALED:
            jobs[panel.key, ALONE] = last_jobs(cells, runs, "alone", n_episodes)
    measure([job for of_seed in jobs.values() for job in of_seed.values()], processes)
    finals = []
    for (map_name, variant), of_seed in jobs.items():
        facts = [read_facts(job) for job in of_seed.values()]
        if facts:
            won = np.array([f.outcome["battle_won"].mean() for f in facts])
            returns = np.array([f.outcome["return"].mean() for f in facts])
            edges = np.array([f.edges.sum() / f.n_steps.sum() for f in facts])
            finals.append(Final(map_name, variant, tuple(of_seed), won.astype(float), returns.astype(float), edges))
    return finals


def judge(finals: Sequence[Final]) -> list[Claim]:
    """The central claim on each map, and over all maps where the same seeds are there."""
    pairs: dict[str, dict[str, Final]] = {}
    for final in finals:
        if final.variant in (ALONE, BASELINE):
            pairs.setdefault(final.map_name, {})[final.variant] = final
    whole = {name: pair for name, pair in pairs.items() if len(pair) == 2}
    claims = [Claim(name, contest(pair[ALONE].won, pair[BASELINE].won)) for name, pair in whole.items()]
    sizes = {len(final.won) for pair in whole.values() for final in pair.values()}
    if len(whole) > 1 and len(sizes) == 1:
        x, y = (np.stack([pair[side].won for pair in whole.values()], axis=1) for side in (ALONE, BASELINE))
        claims.append(Claim("all maps", contest(x, y)))
    return claims

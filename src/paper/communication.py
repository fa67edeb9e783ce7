"""Beyond the paper: battles won against bits and rounds of communication, and learned edges against chosen ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bn_mappo.analysis.checkpoint_facts import Facts, Mode
from bn_mappo.analysis.comparison import Contest, Estimate, contest, interquartile_mean
from bn_mappo.paper.measured import last_jobs, measure, read_facts
from bn_mappo.paper.results import Array
from bn_mappo.paper.smac_plan import KINDS, SmacPlan

BASE = ("uncorrelated", "line", "context_aware", "full")
EQUAL = 0.1  # numbers of edges that differ by less than this share count as equal


@dataclass(frozen=True)
class Cost:
    """The last checkpoints of one variant on one map, by the likeliest actions; B seeds."""

    map_name: str
    variant: str
    seeds: tuple[int, ...]
    won: Array  # [B] share of the games
    edges: Array  # [B] a step, between living agents
    bits: Array  # [B] a step, of the whole team: each edge tells one of A actions, log2 A bits
    depth: Array  # [B] rounds of communication a step
    n_agents: int

    @property
    def score(self) -> Estimate:
        """Interquartile mean over seeds of the share of games won."""
        return interquartile_mean(self.won)


class Duel(NamedTuple):
    """Learned edges against those of a rule, at one density."""

    map_name: str
    percent: int
    rule: str  # distance or random
    contest: Contest
    edges: tuple[float, float]  # a step, of the learned DAG and of the rule

    @property
    def verdict(self) -> str:
        """In words; it follows the interval of the probability, and tells where the numbers of edges differ."""
        words = {
            1: f"learned edges win more than {self.rule} ones",
            -1: f"learned edges win less than {self.rule} ones",
            0: "undecided",
        }[self.contest.outcome]
        more = self.edges[0] / self.edges[1] - 1 if self.edges[1] else np.inf
        remarks = [self.contest.remark] if self.contest.remark else []
        if abs(more) > EQUAL:
            remarks.append(f"not at equal numbers: learned {self.edges[0]:.3g} edges, {self.rule} {self.edges[1]:.3g}")
        return f"{words} ({'; '.join(remarks)})" if remarks else words


def variants_of(densities: Sequence[float]) -> tuple[str, ...]:
    """What is trained: the base, and every kind of edges at every density."""
    return (*BASE, *(f"{kind}_{round(100 * share)}" for share in densities for kind in KINDS))


def cost_of(map_name: str, variant: str, facts: dict[int, Facts]) -> Cost:
    """From what was measured of each seed."""
    found = list(facts.values())
    n_steps = np.array([f.n_steps.sum() for f in found])
    edges = np.array([f.edges.sum() for f in found]) / n_steps
    depth = np.array([f.depth.sum() for f in found]) / n_steps
    n_agents = found[0].kl.shape[1]
    won = np.array([float(f.outcome["battle_won"].mean()) for f in found])
    return Cost(map_name, variant, tuple(facts), won, edges, edges * np.log2(found[0].n_actions), depth, n_agents)


def mode_of(variant: str) -> Mode:
    """Graphs that were annealed to a number of edges have it on average where they are sampled; their mode may not."""
    return "graphs" if variant.startswith("learned_") else "greedy"


def play_costs(plan: SmacPlan, runs: Path, n_episodes: int, processes: int) -> list[Cost]:
    """Games of the last checkpoints of all finished runs, by the likeliest actions."""
    jobs = {
        (panel.map_name, variant): last_jobs(plan.cells_of(panel, variant), runs, mode_of(variant), n_episodes)
        for panel in plan.panels
        for variant in plan.variants
    }
    measure([job for of_seed in jobs.values() for job in of_seed.values()], processes)
    return [
        cost_of(*place, {seed: read_facts(job) for seed, job in of_seed.items()})
        for place, of_seed in jobs.items()
        if of_seed
    ]


def duels(costs: Sequence[Cost]) -> list[Duel]:
    """Learned against distance and random edges, wherever both are there at one density."""
    known = {(cost.map_name, cost.variant): cost for cost in costs}
    found = []
    for (map_name, variant), mine in known.items():
        kind, _, percent = variant.partition("_")
        if kind != "learned":
            continue
        for rule in KINDS[1:]:
            other = known.get((map_name, f"{rule}_{percent}"))
            if other is not None:
                edges = float(mine.edges.mean()), float(other.edges.mean())
                found.append(Duel(map_name, int(percent), rule, contest(mine.won, other.won), edges))
    return found

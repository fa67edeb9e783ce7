"""Information, value and cost of the messages of a trained DAG policy: every number of `src/analyse.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from bn_mappo.analysis.altered_dags import ImpairedDAG, acting_along
from bn_mappo.analysis.information import Information, is_enumerable, measure
from bn_mappo.analysis.paired_episodes import Episodes, PairedEpisodes, Visits, one_of_each
from bn_mappo.analysis.seed_statistics import mean_intervals
from bn_mappo.config.schema import Config
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.progress import Report
from bn_mappo.core.seeding import Generators
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array
from bn_mappo.modules.dag.ops import communication, density, depth


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    n_episodes: int
    losses: tuple[float, ...]  # probabilities that a message is lost
    is_sampled: bool  # the DAG: sampled with the noise of training, or its mode
    greedy: bool  # actions in the episodes whose return counts: the likeliest, or sampled


class Mean(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


class Edge(NamedTuple):
    """One edge that the policy uses."""

    parent: int
    child: int
    share: float  # of the visited steps in which it is there
    information: Mean  # bits a step; 0 counts where it is not there
    comparable: float  # share of the samples behind it; 1 where exact
    value: Mean  # return lost when it is cut


@dataclass(frozen=True)
class Study:
    """All that was measured; n episodes, M states."""

    plan: Plan
    n_agents: int
    is_exact: bool  # information: enumerated, or by samples
    total_correlation: Mean  # bits a step
    agents: list[Mean]  # I(a^i ; a^{P^i} | s), bits a step
    edges: list[Edge]
    messages: Mean  # a step
    n_bytes: Mean  # a step
    depth: Mean  # rounds of communication a step
    density: Mean
    per_time: dict[str, Array]  # messages and depth by step of the episode, [T] each
    plain: Array  # [n]: returns of the policy as it is
    losing: dict[float, Array]  # probability of loss -> returns [n]
    cut: dict[tuple[int, int], Array]  # (parent, child) -> returns [n] without that edge


def mean_interval(values: Array) -> list[Mean]:
    """Means of F quantities over n independent episodes [n, F] and their intervals."""
    return [Mean(*map(float, row)) for row in zip(values.mean(0), *mean_intervals(values), strict=True)]


class Player:
    """Plays the same episodes with the policy as it is, or with a part of its messages missing."""

    def __init__(self, config: Config, mac: DAGMAC, plan: Plan, fraction: float):
        self.mac, self.plan, self.seed = mac, plan, derive_seed(config.seed, "message loss")
        self.games = PairedEpisodes(config, mac, plan.n_episodes, plan.greedy, fraction)

    def play(
        self,
        loss: float = 0.0,
        without: tuple[int, int] | None = None,
        keep_visits: bool = False,
        greedy: bool | None = None,
    ) -> Episodes:
        """Episodes in which messages are lost with a probability, and one edge (parent, child) is cut."""
        mac = self.mac
        kept = torch.ones_like(mac.agent_ids)  # [N, N]
        if without is not None:
            kept[without] = 0
        random = torch.Generator(mac.agent_ids.device).manual_seed(self.seed)
        with acting_along(mac, ImpairedDAG(mac.dag, self.plan.is_sampled, random, kept, loss)):
            return self.games.play(keep_visits, greedy)


def edge_budget(n_agents: int) -> float:
    """Work that the report counts for all cuts together: an episode set for each edge that a DAG can have."""
    return max(1, n_agents * (n_agents - 1) / 2)


def total_work(plan: Plan, n_agents: int) -> float:
    """What the reports of `study` add up to."""
    return 2 + len(plan.losses) + edge_budget(n_agents)


def no_report(work: float, text: str, parts: Mapping[str, float] | None = None) -> None:
    """Shows nothing."""


def study(config: Config, mac: DAGMAC, plan: Plan, fraction: float, report: Report = no_report) -> Study:
    """Measure everything; `fraction` of training is done. Reports its work in sets of episodes played."""
    player = Player(config, mac, plan, fraction)
    try:
        plain, visits = player.play(keep_visits=True)
        assert visits is not None
        report(1, "the policy as it is")
        _, sampled_visits = player.play(keep_visits=True, greedy=False)
        assert sampled_visits is not None
        states = one_of_each(sampled_visits, derive_seed(config.seed, "states"))
        information = measure(mac, states, Generators(derive_seed(config.seed, "information"), mac.agent_ids.device))
        report(1, "information")
        losing = {}
        for loss in plan.losses:
            losing[loss] = player.play(loss=loss).returns
            report(1, f"message loss {loss:g}")
        used = ((visits.adjacency > 0).any(0) | (states.adjacency > 0).any(0)).nonzero().tolist()
        cut = {}
        for parent, child in used:
            cut[parent, child] = player.play(without=(parent, child)).returns
            report(edge_budget(mac.info.n_agents) / len(used), f"edge {parent} -> {child} cut")
        if not used:
            report(edge_budget(mac.info.n_agents), "no edges to cut")
    finally:
        player.games.close()
    return Study(
        plan,
        mac.info.n_agents,
        is_enumerable(mac),
        mean_interval(information.total_correlation[:, None])[0],
        mean_interval(information.agents),
        describe_edges(information, visits, plain, cut),
        *communication_of(visits, message_bytes=4 * mac.message_dim),
        plain,
        losing,
        cut,
    )


def describe_edges(
    information: Information, visits: Visits, plain: Array, cut: dict[tuple[int, int], Array]
) -> list[Edge]:
    """One row an edge, the most valuable first."""
    if not cut:
        return []
    parents, children = np.array(list(cut)).T  # [E]
    share = visits.adjacency.mean(0).cpu().numpy()  # [N, N]
    comparable = information.comparable.mean(0)  # [N, N]
    bits = mean_interval(information.edges[:, parents, children])
    values = mean_interval(np.stack([plain - returns for returns in cut.values()], axis=1))
    rows = [
        Edge(parent, child, float(share[parent, child]), bit, float(comparable[parent, child]), value)
        for (parent, child), bit, value in zip(cut, bits, values, strict=True)
    ]
    return sorted(rows, key=lambda edge: -edge.value.mean)


def communication_of(visits: Visits, message_bytes: int) -> tuple[Mean, Mean, Mean, Mean, dict[str, Array]]:
    """Messages, bytes, rounds and density a step, over episodes; and messages and rounds by step of the episode."""
    messages, n_bytes = communication(visits.adjacency, message_bytes)  # [K]
    columns = (messages, n_bytes, depth(visits.adjacency).amax(-1).float(), density(visits.adjacency))
    quantities = torch.stack(columns, dim=1).double().cpu().numpy()  # [K, 4]
    by_game, by_time = group_means(quantities, visits.game), group_means(quantities, visits.time)
    n_messages, n_bytes_mean, rounds, share = mean_interval(by_game)
    return n_messages, n_bytes_mean, rounds, share, {"messages": by_time[:, 0], "depth": by_time[:, 2]}


def group_means(values: Array, group: Array) -> Array:
    """Mean of the rows of values [K, F] in each group (numbered from 0 without gaps), [G, F]."""
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    means: Array = sums / np.bincount(group)[:, None]
    return means

"""Tabular softmax policies along a DAG: one table of logits per agent, all seeds in one array."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from bn_mappo.tabular.dags import Adjacency, family
from bn_mappo.tabular.game import Array, Game

Tables = list[Array]  # one array per agent i: [*d, B, S], d_j = A_j for j in P^i+ and 1 for the other agents


def table_shape(game: Game, adjacency: Adjacency, agent: int) -> tuple[int, ...]:
    """The action axes of agent i's table: A_j for i and its parents j, 1 for the others."""
    members = family(adjacency, agent)
    return tuple(count if j in members else 1 for j, count in enumerate(game.n_actions))


def normal_logits(game: Game, adjacency: Adjacency, seeds: Sequence[int]) -> Tables:
    """Standard normal theta for each seed, shared between DAGs: Tables of [*d, B, S].

    For each (seed, agent) one number is drawn for every (a^-i, a^i, s); a DAG uses those with action 0 for non-parents.
    So each entry is standard normal, and runs of one seed along two DAGs share their random numbers: differences
    between DAGs can be computed seed by seed, and agents with the same parents in both start from the same policy.
    """
    tables = []
    for agent in range(game.n_agents):
        used = tuple(slice(size) for size in table_shape(game, adjacency, agent))
        draws = [
            np.random.default_rng([seed, agent]).standard_normal((*game.n_actions, game.n_states)) for seed in seeds
        ]
        tables.append(np.stack([draw[used] for draw in draws], axis=-2))  # [*d, B, S]
    return tables


def local_policies(logits: Tables) -> Tables:
    """pi^i(a^i | s, a^P) = softmax over a^i of theta^i[s, a^P, a^i], as Tables of [*d, B, S] (paper section 5)."""
    policies = []
    for agent, table in enumerate(logits):
        weights = np.exp(table - table.max(axis=agent, keepdims=True))  # [*d, B, S]
        policies.append(weights / weights.sum(axis=agent, keepdims=True))  # [*d, B, S]
    return policies


def joint_policy(policies: Tables) -> Array:
    """pi(a | s) = prod_i pi^i(a^i | s, a^{P^i}) as [*A, B, S] (paper section 4)."""
    return reduce(np.multiply, policies)


def others_policy(policies: Tables, agent: int) -> Array:
    """prod_{j != i} pi^j(a^j | s, a^{P^j}), with 1 for an action that none of them depends on: [*A or 1, B, S]."""
    others = [policy for j, policy in enumerate(policies) if j != agent]
    return reduce(np.multiply, others) if others else np.ones_like(policies[agent][:1])

"""Counts the augmented states (s, a^P) that a policy still visits: the assumption of Corollary 5.8."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bn_mappo.tabular.dags import Adjacency, parents
from bn_mappo.tabular.evaluation import Evaluation
from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.gradient import action_probability, conditional_action_values
from bn_mappo.tabular.policy import table_shape

LOST_BELOW = 0.01  # probability that the parents play a^P in s; d(s) itself is at least (1 - gamma) mu(s)
WRONG_ABOVE = 0.01  # of r_max - r_min: the regret of the agent's policy in (s, a^P), against its best action there


class Coverage(NamedTuple):
    """Counts over all agents and all (s, a^{P^i}), for B seeds."""

    augmented_states: int
    lost: npt.NDArray[np.int64]  # Pr(a^P | s) < LOST_BELOW, [B]
    lost_wrong: npt.NDArray[np.int64]  # lost while the agent's policy there is not yet a best action, [B]


def coverage(game: Game, adjacency: Adjacency, evaluation: Evaluation) -> Coverage:
    """Count the augmented states without visitation (paper, assumption 5.6).

    A policy gradient step changes theta^i[s, a^P, .] in proportion to d(s, a^P) = d(s) Pr(a^P | s). So if a state is
    lost before the agent has learned to act in it, its policy there stays wrong. A state not worth visiting does no
    harm.
    """
    total = 0
    lost = np.zeros(len(evaluation.values), dtype=np.int64)  # [B]
    lost_wrong = np.zeros_like(lost)  # [B]
    for agent in range(game.n_agents):
        reached = action_probability(evaluation, parents(adjacency, agent))  # [*d without a^i, B, S]
        is_lost = reached < LOST_BELOW  # [*d without a^i, B, S]
        is_wrong = _regret(adjacency, evaluation, agent) > WRONG_ABOVE * game.reward_range  # [*d without a^i, B, S]
        over = (*range(game.n_agents), game.n_agents + 1)  # all axes but seeds
        lost += is_lost.sum(axis=over)
        lost_wrong += (is_lost & is_wrong).sum(axis=over)
        total += int(np.prod(table_shape(game, adjacency, agent))) // game.n_actions[agent] * game.n_states
    return Coverage(total, lost, lost_wrong)


def _regret(adjacency: Adjacency, evaluation: Evaluation, agent: int) -> Array:
    """max_{a^i} Q(s, a^{P+}) - E_{a^i} Q(s, a^{P+}), [*d without a^i, B, S]; 0 where (s, a^P) is impossible."""
    family = tuple(sorted((*parents(adjacency, agent), agent)))
    values = np.nan_to_num(conditional_action_values(evaluation, family))  # [*d, B, S]
    expected = (evaluation.policies[agent] * values).sum(axis=agent, keepdims=True)  # [*d without a^i, B, S]
    return values.max(axis=agent, keepdims=True) - expected  # [*d without a^i, B, S]

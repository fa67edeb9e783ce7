"""The policy gradient of Lemma 5.1 and the conditional quantities in it."""

import numpy as np

from bn_mappo.tabular.dags import Adjacency, family, parents
from bn_mappo.tabular.evaluation import Evaluation
from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.policy import Tables


def sum_out(array: Array, kept: tuple[int, ...]) -> Array:
    """Sum [*A, B, S] over the actions of all agents except the kept ones; the summed axes keep size 1."""
    dropped = tuple(axis for axis in range(array.ndim - 2) if axis not in kept)
    return array.sum(axis=dropped, keepdims=True) if dropped else array


def action_probability(evaluation: Evaluation, members: tuple[int, ...]) -> Array:
    """Pr(a^M | s) = sum_{a^-M} pi(a | s), with 1 for agents outside M: [*d, B, S] (paper section 5)."""
    return sum_out(evaluation.joint, members)


def augmented_visitation(evaluation: Evaluation, adjacency: Adjacency, agent: int) -> Array:
    """d(s, a^P) = d(s) Pr(a^P | s), normalised, for the parents P of the agent: [*d, B, S] (paper section 5)."""
    return evaluation.visitation * action_probability(evaluation, parents(adjacency, agent))


def conditional_action_values(evaluation: Evaluation, members: tuple[int, ...]) -> Array:
    """Q(s, a^M) = E[Q(s, a) | s, a^M] under pi, as [*d, B, S] (paper section 5).

    Where Pr(a^M | s) = 0 the expectation does not exist and the result is NaN.
    """
    weighted = sum_out(evaluation.joint * evaluation.action_values, members)  # [*d, B, S]
    probability = action_probability(evaluation, members)  # [*d, B, S]
    with np.errstate(invalid="ignore"):
        return weighted / probability


def advantage(evaluation: Evaluation, adjacency: Adjacency, agent: int) -> Array:
    """A^i(s, a^P, a^i) = Q(s, a^{P+}) - Q(s, a^P) as [*d, B, S] (Lemma 5.1)."""
    with_own = conditional_action_values(evaluation, family(adjacency, agent))  # [*d, B, S]
    return with_own - conditional_action_values(evaluation, parents(adjacency, agent))  # [*d, B, S]


def policy_gradient(game: Game, adjacency: Adjacency, evaluation: Evaluation) -> Tables:
    """dV(mu)/dtheta^i[s, a^P, a^i] = d(s, a^P) pi^i(a^i | s, a^P) A^i(s, a^P, a^i) / (1 - gamma) (Lemma 5.1).

    Written without the division in A^i, which loses precision where Pr(a^P | s) is tiny: Pr(a^P | s) pi^i(a^i | s, a^P)
    equals Pr(a^{P+} | s), so with F(a^{P+}) = d(s) sum_{a^-P+} pi(a | s) (Q(s, a) - V(s)) the right side is
    (F(a^{P+}) - pi^i(a^i | s, a^P) sum_{a^i} F(a^{P+})) / (1 - gamma). Subtracting V(s) changes nothing but rounding.
    Returns Tables of [*d, B, S].
    """
    scale = evaluation.visitation / (1 - game.gamma)  # [B, S]
    flow = evaluation.joint * (evaluation.action_values - evaluation.values) * scale  # [*A, B, S]
    gradients = []
    for agent, policy in enumerate(evaluation.policies):
        own = sum_out(flow, family(adjacency, agent))  # [*d, B, S]
        gradients.append(own - policy * own.sum(axis=agent, keepdims=True))  # [*d, B, S]
    return gradients

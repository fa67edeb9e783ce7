"""Exact V, Q and visitation of a joint policy, by dense linear solves in float64."""

from typing import NamedTuple

import numpy as np

from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.policy import Tables, joint_policy, local_policies


class Evaluation(NamedTuple):
    """Values and visitation of a policy, in the notation of section 5 of the paper."""

    policies: Tables  # of [*d, B, S]
    joint: Array  # pi(a | s), [*A, B, S]
    values: Array  # V(s), [B, S]
    action_values: Array  # Q(s, a), [*A, B, S]
    visitation: Array  # normalised d(s), [B, S]


def evaluate(game: Game, logits: Tables) -> Evaluation:
    """All quantities that the gradient needs, for theta given as Tables of [*d, B, S]."""
    policies = local_policies(logits)
    joint = joint_policy(policies)  # [*A, B, S]
    system = discounted_system(game, joint)  # [B, S, S']
    values = solve_values(game, joint, system)  # [B, S]
    return Evaluation(policies, joint, values, action_values(game, values), solve_visitation(game, system))


def state_chain(game: Game, joint: Array) -> Array:
    """P_pi(s' | s) = sum_a pi(a | s) P(s' | s, a) of the joint policy [*A, B, S], as [B, S, S'].

    If P does not depend on the state this is one matrix product, otherwise one per state.
    """
    flat = joint.reshape(-1, *joint.shape[-2:])  # [K, B, S]
    if game.forgets_state:
        n_actions, batch_size, n_states = flat.shape
        rows = flat.reshape(n_actions, -1).T @ game.transition[:, 0]  # [B * S, S']
        return rows.reshape(batch_size, n_states, n_states)  # [B, S, S']
    by_state = flat.transpose(2, 1, 0) @ game.transition.transpose(1, 0, 2)  # [S, B, S']
    return by_state.transpose(1, 0, 2)  # [B, S, S']


def discounted_system(game: Game, joint: Array) -> Array:
    """I - gamma P_pi of the joint policy [*A, B, S], as [B, S, S']."""
    identity: Array = np.eye(game.n_states)  # [S, S']
    return identity - game.gamma * state_chain(game, joint)  # [B, S, S']


def solve_values(game: Game, joint: Array, system: Array) -> Array:
    """V = (I - gamma P_pi)^-1 r_pi as [B, S], for the joint policy [*A, B, S] and its system [B, S, S']."""
    reward = (joint * game.reward).sum(axis=tuple(range(game.n_agents)))  # [B, S]
    return np.linalg.solve(system, reward[..., None])[..., 0]  # [B, S]


def solve_visitation(game: Game, system: Array) -> Array:
    """Normalised d = (1 - gamma) (I - gamma P_pi^T)^-1 mu as [B, S], for the system [B, S, S'] (paper section 3)."""
    start = (1 - game.gamma) * game.mu[:, None]  # [S, 1]
    visits = np.linalg.solve(system.swapaxes(1, 2), start)  # [B, S, 1]
    return visits[..., 0].astype(np.float64, copy=False)  # [B, S]


def policy_values(game: Game, joint: Array) -> Array:
    """V of any joint policy [*A, B, S], as [B, S]."""
    return solve_values(game, joint, discounted_system(game, joint))


def action_values(game: Game, values: Array) -> Array:
    """Q(s, a) = r(s, a) + gamma sum_s' P(s' | s, a) V(s') as [*A, B, S], for V [B, S]."""
    batch_size = len(values)
    if game.forgets_state:
        after = (game.transition[:, 0] @ values.T)[..., None]  # [K, B, 1]
    else:
        after = values @ game.transition.swapaxes(1, 2)  # [K, B, S]
    return game.reward + game.gamma * after.reshape(*game.n_actions, batch_size, -1)  # [*A, B, S]


def start_value(game: Game, values: Array) -> Array:
    """V(mu) = sum_s mu(s) V(s) as [B], for V [B, S]."""
    return values @ game.mu

"""How far from the optimum subteams can end that act as one inside and independently of one another.

The setting is that of the subteam sequel of the paper (ICLR 2026); the proof of the bound is in docs/tabular.md.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from bn_mappo.core.errors import ConfigError
from bn_mappo.tabular.dags import Adjacency
from bn_mappo.tabular.evaluation import Evaluation
from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.gradient import sum_out

Subteams = Sequence[Sequence[int]]  # every agent is in one of them


class Remainder(NamedTuple):
    """What the best sums over subteams leave of a game, in the largest entry; 0 where it is such a sum."""

    reward: float  # eps_r = min over r_k of max |r(s, a) - sum_k r_k(s, a^k)|
    transition: float  # eps_P = min over P_k of max |P(s' | s, a) - sum_k P_k(s' | s, a^k)|


def subteam_dag(subteams: Subteams, n_agents: int) -> Adjacency:
    """The DAG in which agents see the earlier members of their subteam, [N, N]; ConfigError if it is no partition."""
    members = sorted(agent for team in subteams for agent in team)
    if members != list(range(n_agents)):
        raise ConfigError(f"subteams {[list(t) for t in subteams]}: each of agents 0 to {n_agents - 1} must be in one")
    adjacency = np.zeros((n_agents, n_agents), dtype=np.int64)  # [N, N]
    for team in subteams:
        adjacency[np.ix_(team, team)] = 1
    return np.triu(adjacency, k=1)  # [N, N]


def remainder(game: Game, subteams: Subteams) -> Remainder:
    """eps_r and eps_P of the game, each entry's best sum by a linear program."""
    indicators = _indicators(game, subteams)  # [K, F]
    reward = np.broadcast_to(game.reward, (*game.n_actions, 1, game.n_states)).reshape(len(indicators), -1)  # [K, S]
    transition = game.transition.reshape(len(indicators), -1)  # [K, S * S'] or [K, S']
    return Remainder(_largest_residual(indicators, reward), _largest_residual(indicators, transition))


def subteam_gains(game: Game, subteams: Subteams, evaluation: Evaluation) -> Array:
    """eps = sum_k max_{s, a^k} A_k(s, a^k) / (1 - gamma) as [B]: 0 if no subteam gains by another joint action.

    A_k(s, a^k) = E over the others' actions of Q(s, a) - V(s). The policy must be a product over the subteams.
    """
    gains = np.zeros(len(evaluation.values))  # [B]
    everybody = range(game.n_agents)
    for team in subteams:
        others = evaluation.joint.sum(axis=tuple(team), keepdims=True)  # [*A, 1 for members, B, S]
        q = sum_out(others * evaluation.action_values, tuple(team))  # [*A of members, 1 for others, B, S]
        gains += (q.max(axis=tuple(everybody)) - evaluation.values).max(axis=-1)
    return gains / (1 - game.gamma)


def suboptimality_bound(game: Game, subteams: Subteams, evaluation: Evaluation) -> Array:
    """eps + 2 K (eps_r / (1 - gamma) + gamma S eps_P max|r| / (1 - gamma)^2), which max V(mu) - V_pi(mu) cannot exceed.

    K is the number of subteams and S that of states; [B].
    """
    left, horizon = remainder(game, subteams), 1 / (1 - game.gamma)
    largest = float(np.abs(game.reward).max())
    per_step = left.reward + game.gamma * game.n_states * left.transition * largest * horizon
    return subteam_gains(game, subteams, evaluation) + 2 * len(subteams) * per_step * horizon


def _indicators(game: Game, subteams: Subteams) -> Array:
    """One column for each joint action of each subteam: 1 where its members play it, [K, F]."""
    actions = np.indices(game.n_actions).reshape(game.n_agents, -1)  # [N, K]
    columns = []
    for team in subteams:
        sizes = [game.n_actions[agent] for agent in team]
        index = np.ravel_multi_index([actions[agent] for agent in team], sizes)  # [K]
        columns.append(np.eye(int(np.prod(sizes)))[index])  # [K, F of the team]
    return np.hstack(columns)


def _largest_residual(indicators: Array, targets: Array) -> float:
    """Over the columns y of targets [K, C]: the largest min_w max|y - X w|, with X the indicators [K, F]."""
    n_rows, n_features = indicators.shape
    ones = np.ones((n_rows, 1))
    bounds = np.block([[indicators, -ones], [-indicators, -ones]])  # X w - t <= y and -X w - t <= -y
    cost = np.append(np.zeros(n_features), 1.0)
    residuals = [0.0]
    for column in targets.T:
        solution = linprog(cost, A_ub=bounds, b_ub=np.append(column, -column), bounds=(None, None), method="highs")
        if not solution.success:
            raise ArithmeticError(f"the linear program of a decomposition failed: {solution.message}")
        residuals.append(float(solution.fun))
    return max(residuals)

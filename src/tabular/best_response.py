"""Best responses of one agent, the Nash-gap, and the certificate that a policy is a Nash policy."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from bn_mappo.tabular.dags import Adjacency, family
from bn_mappo.tabular.evaluation import Evaluation, action_values, evaluate, policy_values, start_value
from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.gradient import sum_out
from bn_mappo.tabular.policy import Tables, others_policy

Deviation = Literal["augmented", "state_only"]
DEVIATIONS: tuple[Deviation, ...] = ("augmented", "state_only")

BELLMAN_TOLERANCE = 1e-11  # of the largest |V|: rounding of the linear solves, far below any gap of interest
MAX_SWEEPS = 200  # policy iteration needs 3 to 10; more than this means a defect


class BestResponse(NamedTuple):
    """An agent's best reply to the others."""

    policy: Array  # deterministic pi'^i, [*d, B, S]
    values: Array  # V(s) of the reply against the others, [B, S]
    error_bound: float  # no reply is worth more than `values` by more than this, in any state


class NashCertificate(NamedTuple):
    """Whether no agent can gain more than the tolerance, with the numbers behind it."""

    is_nash: npt.NDArray[np.bool_]  # [B]
    gap: Array  # Nash-gap, [B]
    gain: Array  # what each agent could gain, [N, B]
    error_bound: float  # the true gains exceed `gain` by at most this


def best_response(game: Game, others: Array, observed: tuple[int, ...], agent: int, values: Array) -> BestResponse:
    """max over pi'^i of V, by policy iteration on the MDP with augmented state (s, a^P) (paper section 7).

    With w(a | s) = prod_{j != i} pi^j, q(s, a^P, a^i) = sum over the other actions of w(a | s) Q(s, a). The parents do
    not react to a^i, but the children do; w contains both. So the greedy reply maximises q for each (s, a^P), and
    V(s) = sum_{a^P} max_{a^i} q at the optimum. Evaluation is exact; the Bellman residual e bounds the error by
    e / (1 - gamma).

    others = w, [*A or 1, B, S]; observed = the agents whose actions the reply depends on, including the agent itself;
    values = V [B, S] of any policy, with which the iteration starts.
    """
    for _ in range(MAX_SWEEPS):
        q = sum_out(others * action_values(game, values), observed)  # [*d, B, S]
        best = q.max(axis=agent, keepdims=True)  # [*d without a^i, B, S]
        backup = best.sum(axis=tuple(range(game.n_agents)))  # [B, S]
        policy = _one_hot(q.argmax(axis=agent), game.n_actions[agent], agent)  # [*d, B, S]
        residual = np.abs(backup - values).max()
        if residual <= BELLMAN_TOLERANCE * max(1.0, np.abs(values).max()):
            return BestResponse(policy, values, float(residual) / (1 - game.gamma))
        values = policy_values(game, others * policy)  # [B, S]
    raise ArithmeticError(f"policy iteration did not settle in {MAX_SWEEPS} sweeps (Bellman residual {residual:g})")


def nash_gains(
    game: Game, adjacency: Adjacency, evaluation: Evaluation, deviation: Deviation = "augmented"
) -> tuple[Array, float]:
    """max_{pi'^i} V_{pi'^i, pi^-i}(mu) - V_pi(mu) for each agent, [N, B], and a bound on its error.

    `augmented`: the reply may depend on (s, a^P). `state_only`: it depends on s alone, as in the released code. This is
    the weaker condition; its gain is negative if the agent's present use of its parents' actions is worth more.
    """
    current = start_value(game, evaluation.values)  # [B]
    gains, bounds = [], []
    for agent in range(game.n_agents):
        observed = family(adjacency, agent) if deviation == "augmented" else (agent,)
        others = others_policy(evaluation.policies, agent)  # [*A or 1, B, S]
        reply = best_response(game, others, observed, agent, evaluation.values)
        gains.append(start_value(game, reply.values) - current)  # [B]
        bounds.append(reply.error_bound)
    return np.stack(gains), max(bounds)


def nash_gap(game: Game, adjacency: Adjacency, evaluation: Evaluation, deviation: Deviation = "augmented") -> Array:
    """Nash-gap = max_i (max_{pi'^i} V_{pi'^i, pi^-i}(mu) - V_pi(mu)) as [B] (paper section 7)."""
    return nash_gains(game, adjacency, evaluation, deviation)[0].max(axis=0)


def certify_nash(game: Game, adjacency: Adjacency, logits: Tables, tolerance: float) -> NashCertificate:
    """Is theta (Tables of [*d, B, S]) a Nash policy to the tolerance, numerical error included?"""
    gain, bound = nash_gains(game, adjacency, evaluate(game, logits))
    gap = gain.max(axis=0)  # [B]
    return NashCertificate(gap + bound <= tolerance, gap, gain, bound)


def _one_hot(choice: npt.NDArray[np.int64], n_actions: int, axis: int) -> Array:
    """One-hot encoding of the choice along a new axis at that position."""
    return np.stack([choice == action for action in range(n_actions)], axis=axis).astype(np.float64)

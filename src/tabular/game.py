"""A finite cooperative Markov game as arrays, checked once when it is made.

Layout of every array in `tabular`: one leading axis per agent's action, then seeds B, then states S. Sums over actions
are then sums over leading axes, which run over contiguous blocks of B * S numbers for any number of actions.
`*A` in a shape comment stands for A_1, ..., A_N and K for their product, the number of joint actions.
"""

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Observation

Array = npt.NDArray[np.float64]

PROBABILITY_TOLERANCE = 1e-8  # how far a row of probabilities may sum from 1


@dataclass(frozen=True)
class Game:
    """Owns the arrays of one game; holds no policy.

    transition [K, S, S'] or, where it does not depend on the state, [K, 1, S'];
    reward [*A, 1, S], with 1 for the actions on which it does not depend; mu [S].
    """

    name: str
    n_actions: tuple[int, ...]
    transition: Array
    reward: Array
    gamma: float
    mu: Array

    @property
    def n_agents(self) -> int:
        return len(self.n_actions)

    @property
    def n_states(self) -> int:
        return len(self.mu)

    @property
    def n_joint_actions(self) -> int:
        return prod(self.n_actions)

    @property
    def forgets_state(self) -> bool:
        """Whether P(s' | s, a) = P(s' | a)."""
        return self.transition.shape[1] == 1

    @property
    def reward_range(self) -> float:
        """r_max - r_min."""
        return float(self.reward.max() - self.reward.min())


class TabularModel(NamedTuple):
    """A game as arrays, and the observations of agents and critic in each of its states."""

    game: Game
    observation: Observation  # of the S states in place of B games


def game_from_arrays(
    transition: npt.ArrayLike, reward: npt.ArrayLike, gamma: float, mu: npt.ArrayLike, name: str = "game"
) -> Game:
    """The game of P [S, A_1, ..., A_N, S'], r [S, A_1, ..., A_N] or [S], gamma, mu [S]; ConfigError on a mismatch."""
    p, r, start = (_as_floats(key, value) for key, value in (("P", transition), ("r", reward), ("mu", mu)))
    if p.ndim < 3 or p.shape[0] != p.shape[-1]:
        raise ConfigError(f"P has shape {list(p.shape)}; it must be [S, A_1, ..., A_N, S] with at least one agent")
    n_states, n_actions = p.shape[0], p.shape[1:-1]
    if r.shape not in ((n_states,), p.shape[:-1]):
        raise ConfigError(
            f"r has shape {list(r.shape)}; with this P it must be {list(p.shape[:-1])} (state and joint action) "
            f"or [{n_states}] (state alone)"
        )
    if start.shape != (n_states,):
        raise ConfigError(f"mu has shape {list(start.shape)}; with this P it must be [{n_states}]")
    check_discount(gamma)
    _check_distributions("P", p)
    _check_distributions("mu", start)
    by_action = p.reshape(n_states, -1, n_states).transpose(1, 0, 2)  # [K, S, S']
    if bool((by_action == by_action[:, :1]).all()):
        by_action = by_action[:, :1]  # [K, 1, S']
    r = r.reshape(n_states, *(n_actions if r.ndim > 1 else (1,) * len(n_actions)))  # [S, *A] or [S, 1, ..., 1]
    last = np.moveaxis(r, 0, -1)[..., None, :]  # [*A, 1, S]
    return Game(name, n_actions, np.ascontiguousarray(by_action), np.ascontiguousarray(last), float(gamma), start)


def check_discount(gamma: float) -> None:
    """ConfigError unless 0 <= gamma < 1."""
    if not 0 <= gamma < 1:
        raise ConfigError(f"gamma={gamma}: the discount must be at least 0 and less than 1")


def _as_floats(key: str, value: npt.ArrayLike) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key} is not an array of real numbers: {error}") from error
    if not np.isfinite(array).all():
        raise ConfigError(f"{key} contains {int((~np.isfinite(array)).sum())} values that are not finite")
    return array


def _check_distributions(key: str, probabilities: Array) -> None:
    """ConfigError unless every row along the last axis is a distribution."""
    if probabilities.min() < 0:
        where = [int(i) for i in np.unravel_index(probabilities.argmin(), probabilities.shape)]
        raise ConfigError(f"{key}{where} = {probabilities.min():g}: a probability is at least 0")
    error = np.abs(probabilities.sum(-1) - 1)
    if error.max() > PROBABILITY_TOLERANCE:
        worst = np.unravel_index(error.argmax(), error.shape)
        row = f"{key}{[int(i) for i in worst]}" if worst else key
        total = probabilities[worst].sum()
        raise ConfigError(f"{row} sums to {total:.10g} over its last axis; probabilities must sum to 1")

"""Matrix games: two agents choose once, at the same time, and miscoordination is punished."""

from typing import Literal

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array, EnvInfo, Observation, Policy
from bn_mappo.envs.vector.batched import BatchedGame

Payoff = Literal["climbing", "penalty"]


def payoff_matrix(payoff: Payoff, penalty: float) -> Array:
    """What the team is paid, [A, A] float32; agent 0 chooses the row (Claus and Boutilier 1998, figures 3 and 4)."""
    if payoff == "climbing":
        return np.array([[11, -30, 0], [-30, 7, 6], [0, 0, 5]], dtype=np.float32)
    return np.array([[10, 0, penalty], [0, 2, 0], [penalty, 0, 10]], dtype=np.float32)


class MatrixGame(BatchedGame):
    """B games of two agents with three actions each, one step long; there is nothing to see.

    `climbing`: the optimum 11 lies beside the worst outcomes. `penalty`: two optima of 10, and a penalty for choosing
    different ones.
    """

    state_fields = ()

    def __init__(self, batch_size: int, seed: int, *, payoff: Payoff = "climbing", penalty: float = -100.0):
        if penalty > 0:
            raise ConfigError(f"env_args.penalty={penalty}: a penalty is at most 0")
        super().__init__(batch_size, seed)
        self.payoffs = payoff_matrix(payoff, penalty)
        self.info = EnvInfo(n_agents=2, n_actions=3, obs_dim=1, state_dim=1, episode_limit=1)

    def start(self, games: Array) -> None:
        pass  # every game is at its start

    def advance(self, actions: Array) -> tuple[Array, Array]:
        return self.payoffs[actions[:, 0], actions[:, 1]], np.ones(self.batch_size, dtype=bool)

    def observe(self) -> Observation:
        ones = np.ones((self.batch_size, 2, 1), dtype=np.float32)
        return Observation(ones, ones[:, 0], None)

    def reference_policies(self) -> dict[str, Policy]:
        best = np.array(np.unravel_index(self.payoffs.argmax(), self.payoffs.shape))  # [2]
        safe = self.payoffs.mean(1).argmax(), self.payoffs.mean(0).argmax()  # best against a uniform partner
        shape = (self.batch_size, 2)
        return {
            "uniform random": lambda: self.rng.integers(0, 3, size=shape),
            "best against a random partner": lambda: np.broadcast_to(safe, shape),
            "optimum": lambda: np.broadcast_to(best, shape),
        }

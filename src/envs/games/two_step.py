"""The two-step game of the QMIX paper: what a sum of the agents' values cannot tell apart, a monotonic network can."""

import numpy as np

from bn_mappo.core.specs import Array, EnvInfo, Observation, Policy
from bn_mappo.envs.vector.batched import BatchedGame

START = 0  # the states that are shown: the start, then the matrix game that the first agent has chosen
PAYOFFS = np.array([[[7, 7], [7, 7]], [[0, 1], [1, 8]]], dtype=np.float32)  # [games, A, A]


class TwoStep(BatchedGame):
    """B games of two agents with two actions each (Rashid et al. 2018, section 5).

    In the first step agent 0 chooses one of two matrix games and nothing is paid; in the second both play it. The first
    game pays 7 whatever they do, the second at most 8. All see the state, one-hot: the start, the first or the second.
    """

    state_fields = ("state",)

    def __init__(self, batch_size: int, seed: int):
        super().__init__(batch_size, seed)
        self.info = EnvInfo(n_agents=2, n_actions=2, obs_dim=3, state_dim=3, episode_limit=2)
        self.state = np.zeros(batch_size, dtype=np.int64)

    def start(self, games: Array) -> None:
        self.state[games] = START

    def advance(self, actions: Array) -> tuple[Array, Array]:
        is_second = self.state != START  # [B]
        paid = PAYOFFS[self.state - 1, actions[:, 0], actions[:, 1]]  # [B]
        self.state = np.where(is_second, self.state, 1 + actions[:, 0])
        return np.where(is_second, paid, np.float32(0)), is_second

    def observe(self) -> Observation:
        state = np.eye(3, dtype=np.float32)[self.state]  # [B, 3]
        return Observation(np.repeat(state[:, None], 2, axis=1), state, None)

    def reference_policies(self) -> dict[str, Policy]:
        shape = (self.batch_size, 2)
        return {
            "uniform random": lambda: self.rng.integers(0, 2, size=shape),
            "first game (safe)": lambda: np.zeros(shape, dtype=np.int64),
            "optimum": lambda: np.ones(shape, dtype=np.int64),
        }

"""Small environments with known optima, or with faults, for tests."""

import os
import time
from typing import Any

import numpy as np

from bn_mappo.core.specs import Array, EnvInfo, Observation
from bn_mappo.envs.multiagentenv import MultiAgentEnv
from bn_mappo.envs.vector.batched import BatchedGame


class BitGame(BatchedGame):
    """Agent 0 sees a random bit, agent 1 sees nothing; the team is paid 1 when both play the bit. One step long.

    Product policies earn at most 0.5: agent 1 cannot know the bit. With an edge 0 -> 1 the optimum is 1.
    """

    state_fields = ("bit",)

    def __init__(self, batch_size: int, seed: int):
        super().__init__(batch_size, seed)
        self.info = EnvInfo(n_agents=2, n_actions=2, obs_dim=2, state_dim=2, episode_limit=1)
        self.bit = np.zeros(batch_size, dtype=np.int64)

    def start(self, games: Array) -> None:
        self.bit[games] = self.rng.integers(0, 2, size=len(games))

    def advance(self, actions: Array) -> tuple[Array, Array]:
        return (actions == self.bit[:, None]).all(-1).astype(np.float32), np.ones(self.batch_size, dtype=bool)

    def observe(self) -> Observation:
        state = np.eye(2, dtype=np.float32)[self.bit]  # [B, 2]
        obs = np.stack([state, np.zeros_like(state)], axis=1)  # [B, 2, 2]
        return Observation(obs, state, None)


class EitherSeesGame(BitGame):
    """As BitGame, but it is a fair coin which of the two agents sees the bit.

    Product policies earn at most 0.5, a fixed order 0.75: where the second one sees the bit, the first has to guess.
    The optimum, 1, needs an order that depends on who sees.
    """

    state_fields = ("bit", "seer")

    def __init__(self, batch_size: int, seed: int):
        super().__init__(batch_size, seed)
        self.seer = np.zeros(batch_size, dtype=np.int64)

    def start(self, games: Array) -> None:
        super().start(games)
        self.seer[games] = self.rng.integers(0, 2, size=len(games))

    def observe(self) -> Observation:
        observation = super().observe()
        sees = np.eye(2, dtype=np.float32)[self.seer][..., None]  # [B, 2, 1]
        return observation._replace(obs=observation.state[:, None] * sees)


class MaskedGame(BatchedGame):
    """Three agents, four actions, of which random ones are unavailable; agent 2 dies after two steps.

    Playing an unavailable action raises. Paid 1 for each agent that plays its highest available action.
    """

    state_fields = ("avail",)

    def __init__(self, batch_size: int, seed: int, *, episode_limit: int = 6):
        super().__init__(batch_size, seed)
        self.info = EnvInfo(3, 4, obs_dim=4, state_dim=12, episode_limit=episode_limit, masks_actions=True)
        self.avail = np.ones((batch_size, 3, 4), dtype=bool)

    def _draw(self, games: Array, is_dead: Array) -> None:
        avail = self.rng.random((len(games), 3, 4)) < 0.5
        avail[..., 0] = False
        avail[..., 1] |= ~avail.any(-1)
        avail[is_dead, 2] = [True, False, False, False]  # no-op only
        self.avail[games] = avail

    def start(self, games: Array) -> None:
        self._draw(games, np.zeros(len(games), dtype=bool))

    def advance(self, actions: Array) -> tuple[Array, Array]:
        if not np.take_along_axis(self.avail, actions[..., None], -1).all():
            raise AssertionError("an unavailable action was played")
        best = 3 - self.avail[..., ::-1].argmax(-1)
        reward = (actions == best).sum(-1).astype(np.float32)
        self._draw(np.arange(self.batch_size), self.clock + 1 >= 2)
        return reward, np.zeros(self.batch_size, dtype=bool)

    def observe(self) -> Observation:
        obs = self.avail.astype(np.float32)
        return Observation(obs, obs.reshape(self.batch_size, -1), self.avail.copy())

    def episode_info(self) -> dict[str, Array]:
        return {"battle_won": np.ones(self.batch_size, dtype=np.float32)}


class FaultyGame(MultiAgentEnv):
    """A single game whose process dies, or hangs, when the file `trigger` exists: once, for it removes the file."""

    def __init__(self, seed: int, *, trigger: str = "", fault: str = "die"):
        self.info = EnvInfo(2, 2, obs_dim=1, state_dim=1, episode_limit=5)
        self.trigger, self.fault, self.clock = trigger, fault, 0

    def reset(self, seed: int | None = None) -> None:
        self.clock = 0

    def _is_triggered(self) -> bool:
        try:
            os.remove(self.trigger)  # of several games, one succeeds
        except OSError:
            return False
        return True

    def step(self, actions: Array) -> tuple[float, bool, bool, dict[str, float]]:
        if self._is_triggered():
            if self.fault == "die":
                os._exit(1)
            time.sleep(60)
        self.clock += 1
        return 1.0, False, self.clock >= 5, {"ticks": float(self.clock)}

    def get_obs(self) -> Array:
        return np.full((2, 1), self.clock, dtype=np.float32)

    def get_state(self) -> Array:
        return np.full(1, self.clock, dtype=np.float32)

    def state_dict(self) -> dict[str, Any]:
        return {"clock": self.clock}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.clock = int(state["clock"])

"""Small environments with known optima, or with faults, for tests."""

import os
import sys
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


class LeavingGame(BatchedGame):
    """Three agents that leave one by one, each with a reward of its own. The episode terminates when all have left.

    Action 0 waits, 1 works and pays agent i its number plus 1, 2 leaves at once. Who does not leave before does so
    after a random number of steps.
    """

    state_fields = ("steps_left",)

    def __init__(self, batch_size: int, seed: int, *, episode_limit: int = 6):
        super().__init__(batch_size, seed)
        self.info = EnvInfo(3, 3, 2, 3, episode_limit, masks_actions=True, n_rewards=3, agents_leave=True)
        self.steps_left = np.zeros((batch_size, 3), dtype=np.int64)  # 0: the agent has left

    def start(self, games: Array) -> None:
        self.steps_left[games] = self.rng.integers(1, 9, size=(len(games), 3))

    def advance(self, actions: Array) -> tuple[Array, Array]:
        active = self.steps_left > 0
        reward = np.where(active & (actions == 1), [1.0, 2.0, 3.0], 0.0).astype(np.float32)  # [B, N]
        self.steps_left = np.where(active & (actions != 2), self.steps_left - 1, 0)
        return reward, ~(self.steps_left > 0).any(-1)

    def observe(self) -> Observation:
        active, share = self.steps_left > 0, (self.steps_left / 8).astype(np.float32)
        obs = np.stack([active.astype(np.float32), share], axis=-1)  # [B, 3, 2]
        avail = np.ones((self.batch_size, 3, 3), dtype=bool)
        avail[~active] = [True, False, False]
        return Observation(obs, share, avail, active)


class StayGame(BatchedGame):
    """Two agents: each step that one stays pays it 1; to leave pays 0.8 of what staying to the end would still pay.

    So staying is best, and earns the two of them 2 * N_STEPS. The episode terminates after N_STEPS, whoever is left.
    """

    N_STEPS = 10
    state_fields = ("n_played", "present")

    def __init__(self, batch_size: int, seed: int):
        super().__init__(batch_size, seed)
        n_steps, n_agents = self.N_STEPS, 3  # the third one only looks on: somebody has to be left
        self.info = EnvInfo(
            n_agents, 2, n_steps, n_steps, n_steps + 1, masks_actions=True, n_rewards=n_agents, agents_leave=True
        )
        self.n_played = np.zeros(batch_size, dtype=np.int64)
        self.present = np.ones((batch_size, n_agents), dtype=bool)

    def start(self, games: Array) -> None:
        self.n_played[games], self.present[games] = 0, True

    def advance(self, actions: Array) -> tuple[Array, Array]:
        leaves = self.present & (actions == 1) & [True, True, False]
        stays = self.present & ~leaves
        reward = (stays + 0.8 * (self.N_STEPS - self.n_played[:, None]) * leaves) * [1, 1, 0]
        self.present, self.n_played = stays, self.n_played + 1
        return reward.astype(np.float32), self.n_played >= self.N_STEPS

    def observe(self) -> Observation:
        clock = np.eye(self.N_STEPS, dtype=np.float32)[np.minimum(self.n_played, self.N_STEPS - 1)]
        avail = np.ones((self.batch_size, 3, 2), dtype=bool)
        avail[~self.present] = [True, False]
        return Observation(clock[:, None] * self.present[..., None], clock, avail, self.present.copy())


class LeavingSingle(MultiAgentEnv):
    """As LeavingGame, one game at a time, and with no action masked."""

    def __init__(self, seed: int, *, episode_limit: int = 6):
        self.info = EnvInfo(3, 3, 1, 3, episode_limit, n_rewards=3, agents_leave=True)
        self.rng = np.random.default_rng(seed)
        self.clock, self.steps_left = 0, [0, 0, 0]

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.clock, self.steps_left = 0, self.rng.integers(1, 9, size=3).tolist()

    def step(self, actions: Array) -> tuple[Array, bool, bool, dict[str, float]]:
        reward = np.zeros(3)
        for agent, action in enumerate(actions):
            if self.steps_left[agent]:
                reward[agent] = (action == 1) * (agent + 1)
                self.steps_left[agent] = 0 if action == 2 else self.steps_left[agent] - 1
        self.clock += 1
        return reward, not any(self.steps_left), self.clock >= self.info.episode_limit, {}

    def get_obs(self) -> Array:
        return np.array(self.steps_left)[:, None] / 8

    def get_state(self) -> Array:
        return np.array(self.steps_left) / 8

    def get_active(self) -> Array:
        return np.array(self.steps_left) > 0

    def state_dict(self) -> dict[str, Any]:
        return {"clock": self.clock, "left": list(self.steps_left), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.clock, self.steps_left = state["clock"], list(state["left"])
        self.rng.bit_generator.state = state["rng"]


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


def has_registry() -> float:
    """Whether this process has imported the names of environments."""
    return float("bn_mappo.envs.registry" in sys.modules)


class WitnessGame(BitGame):
    """Tells whether its process knows the registry; on arrays."""

    def episode_info(self) -> dict[str, Array]:
        return {"has_registry": np.full(self.batch_size, has_registry(), dtype=np.float32)}


class WitnessSingle(FaultyGame):
    """Tells whether its process knows the registry; one game at a time, and one step long."""

    def __init__(self, seed: int, *, trigger: str = ""):
        super().__init__(seed, trigger=trigger)

    def step(self, actions: Array) -> tuple[float, bool, bool, dict[str, float]]:
        return 1.0, True, False, {"has_registry": has_registry()}

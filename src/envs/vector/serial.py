"""A vector environment of single games that are played one after the other in this process."""

from typing import Any

import numpy as np

from bn_mappo.core.specs import Array, Observation, StepResult
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.envs.vector.failures import Failures
from bn_mappo.envs.vector.slots import GAME_BROKE_DOWN, EnvFactory, Slots


class SerialVecEnv(VecEnv):
    """B single games in this process: the simplest runner, and the one to debug an environment with."""

    def __init__(self, factory: EnvFactory, seeds: list[int], max_restarts: int = 10):
        self.envs = [factory(seed) for seed in seeds]
        self.failures = Failures(len(seeds), max_restarts)
        self.info, self.batch_size = self.envs[0].info, len(seeds)
        self.slots = Slots(self.info, self.batch_size, lambda shape, dtype: np.zeros(shape, dtype))

    def reset(self, seed: int | None = None) -> Observation:
        for row, env in enumerate(self.envs):
            env.reset(None if seed is None else seed + row)
            self.slots.show(row, env)
        return self.slots.observation()

    def step(self, actions: Array) -> StepResult:
        self.slots.actions[:] = actions
        infos = [self.slots.play(row, env) for row, env in enumerate(self.envs)]
        result = self.slots.result(infos)
        self.failures.reset((result.terminated | result.truncated) & ~self.slots.lost)
        for row in np.flatnonzero(self.slots.lost):
            self.failures.add(int(row), GAME_BROKE_DOWN)
        return result

    def state_dict(self) -> dict[str, Any] | None:
        states = [env.state_dict() for env in self.envs]
        return None if any(state is None for state in states) else {"envs": states}

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        for row, (env, env_state) in enumerate(zip(self.envs, state["envs"], strict=True)):
            env.load_state_dict(env_state)
            self.slots.show(row, env)
        return self.slots.observation()

    def restarts(self) -> int:
        return self.failures.total

    def save_replay(self) -> str | None:
        return self.envs[0].save_replay()

    def close(self) -> None:
        for env in self.envs:
            env.close()

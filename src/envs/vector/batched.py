"""Vector environments written on arrays of games: the fastest way to play an environment that one can write so."""

from abc import abstractmethod
from typing import Any

import numpy as np

from bn_mappo.core.specs import Array, Observation, StepResult
from bn_mappo.envs.vec_env import VecEnv


class BatchedGame(VecEnv):
    """A VecEnv written on arrays of games: a subclass gives the rules, this class the clock, autoreset and the seed.

    A subclass takes batch size, seed and then keyword arguments, which are the env_args of the configuration. It keeps
    its whole state in arrays named by `state_fields`, each with the games on the first axis.
    """

    state_fields: tuple[str, ...]

    def __init__(self, batch_size: int, seed: int):
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)
        self.clock = np.zeros(batch_size, dtype=np.int64)  # steps played in the running episode

    @abstractmethod
    def start(self, games: Array) -> None:
        """Put the games [K] (indices) into a start state."""

    @abstractmethod
    def advance(self, actions: Array) -> tuple[Array, Array]:
        """Apply the rules to all games; returns reward [B] ([B, N] with n_rewards=N) and terminated [B]."""

    @abstractmethod
    def observe(self) -> Observation:
        """The observation of the present state, in new arrays."""

    def observe_restarted(self, last: Observation, games: Array) -> Observation:
        """The observation after the games [K] have started anew, in new arrays; `last`: the one before."""
        return self.observe()

    def episode_info(self) -> dict[str, Array]:
        """Facts of the episodes as they end, [B] each."""
        return {}

    def reset(self, seed: int | None = None) -> Observation:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.clock[:] = 0
        self.start(np.arange(self.batch_size))
        return self.observe()

    def step(self, actions: Array) -> StepResult:
        reward, terminated = self.advance(np.asarray(actions))
        self.clock += 1
        truncated = (self.clock >= self.info.episode_limit) & ~terminated
        done = terminated | truncated
        observation = self.observe()
        if not done.any():
            return StepResult(observation, reward, terminated, truncated, None, {})
        final, info = observation, self.episode_info()
        games = np.flatnonzero(done)
        self.clock[games] = 0
        self.start(games)
        return StepResult(self.observe_restarted(final, games), reward, terminated, truncated, final, info)

    def state_dict(self) -> dict[str, Any]:
        fields = {name: getattr(self, name).copy() for name in (*self.state_fields, "clock")}
        return {"fields": fields, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        for name, value in state["fields"].items():
            setattr(self, name, value.copy())
        self.rng.bit_generator.state = state["rng"]
        return self.observe()

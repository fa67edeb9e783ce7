"""The interface of an environment that plays one game at a time, such as StarCraft II."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from bn_mappo.envs.vec_env import Array, BatchedGame, EnvInfo


class EpisodeLostError(Exception):
    """Raised by `step` where the game broke down under it: the episode is no data; `reset` starts the next one."""


class MultiAgentEnv(ABC):
    """One game. A subclass takes its seed and then keyword arguments, which are the env_args of the configuration."""

    info: EnvInfo

    @abstractmethod
    def reset(self, seed: int | None = None) -> None:
        """Start an episode; `seed` also restarts the generator."""

    @abstractmethod
    def step(self, actions: Array) -> tuple[float, bool, bool, dict[str, float]]:
        """Play the joint action [N]; returns reward, terminated, truncated and facts of the episode so far."""

    @abstractmethod
    def get_obs(self) -> Array:
        """[N, D] float."""

    @abstractmethod
    def get_state(self) -> Array:
        """[S] float."""

    def get_avail_actions(self) -> Array | None:
        """[N, A] bool; None where every action is always available."""
        return None

    def state_dict(self) -> dict[str, Any] | None:
        """Plain data that `load_state_dict` goes on from to the same bits; None: cannot be given."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        raise ValueError(f"{type(self).__name__} gives no state to go on from")

    def save_replay(self) -> str | None:
        """Keep what was played so far as a replay; returns where it is, None: this game has no replays."""
        return None

    def close(self) -> None:  # noqa: B027 - most games have nothing to end
        """End the game; may be called twice."""


class SingleGame(MultiAgentEnv):
    """A batched game of batch size 1 as a single environment, so that every runner can play it."""

    def __init__(self, game: BatchedGame):
        self.game, self.info = game, game.info
        self.observation = self.first = game.reset()
        self.is_fresh = True  # the game stands at the start of an episode, which `first` shows

    def reset(self, seed: int | None = None) -> None:
        if seed is not None or not self.is_fresh:
            self.first = self.game.reset(seed)
        self.observation, self.is_fresh = self.first, False

    def step(self, actions: Array) -> tuple[float, bool, bool, dict[str, float]]:
        result = self.game.step(np.asarray(actions)[None])
        self.is_fresh = result.final is not None  # the game has already started its next episode
        self.first = result.observation
        self.observation = result.observation if result.final is None else result.final
        info = {name: float(value[0]) for name, value in result.info.items()}
        return float(result.reward[0]), bool(result.terminated[0]), bool(result.truncated[0]), info

    def get_obs(self) -> Array:
        return self.observation.obs[0]

    def get_state(self) -> Array:
        return self.observation.state[0]

    def get_avail_actions(self) -> Array | None:
        return None if self.observation.avail_actions is None else self.observation.avail_actions[0]

    def state_dict(self) -> dict[str, Any]:
        return self.game.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.observation, self.is_fresh = self.game.load_state_dict(state), False

    def close(self) -> None:
        self.game.close()

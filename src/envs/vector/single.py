"""A game written on arrays as a single one, so that every runner can play it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.envs.multiagentenv import MultiAgentEnv
from bn_mappo.envs.vector.batched import BatchedGame


class SingleGame(MultiAgentEnv):
    """A batched game of batch size 1 as a single environment. Owns the game."""

    def __init__(self, game: BatchedGame):
        self.game, self.info = game, game.info
        self.observation = self.first = game.reset()
        self.is_fresh = True  # the game stands at the start of an episode, which `first` shows

    def reset(self, seed: int | None = None) -> None:
        if seed is not None or not self.is_fresh:
            self.first = self.game.reset(seed)
        self.observation, self.is_fresh = self.first, False

    def step(self, actions: Array) -> tuple[float | Array, bool, bool, dict[str, float]]:
        result = self.game.step(np.asarray(actions)[None])
        self.is_fresh = result.final is not None  # the game has already started its next episode
        self.first = result.observation
        self.observation = result.observation if result.final is None else result.final
        info = {name: float(value[0]) for name, value in result.info.items()}
        reward = result.reward[0]  # [] or [N]
        return reward if reward.ndim else float(reward), bool(result.terminated[0]), bool(result.truncated[0]), info

    def get_obs(self) -> Array:
        return self.observation.obs[0]

    def get_state(self) -> Array:
        return self.observation.state[0]

    def get_avail_actions(self) -> Array | None:
        return None if self.observation.avail_actions is None else self.observation.avail_actions[0]

    def get_active(self) -> Array | None:
        return None if self.observation.active is None else self.observation.active[0]

    def state_dict(self) -> dict[str, Any]:
        return self.game.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.observation, self.is_fresh = self.game.load_state_dict(state), False

    def close(self) -> None:
        self.game.close()


def make_single_game(make_games: Callable[[int, int], BatchedGame], seed: int) -> MultiAgentEnv:
    """One game of an environment on arrays; `make_games` takes batch size and seed."""
    return SingleGame(make_games(1, seed))

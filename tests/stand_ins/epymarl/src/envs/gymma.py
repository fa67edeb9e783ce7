"""A Gymnasium environment of several agents (tuples of spaces) as the host's. Never tells a time-out from an end.

Observations and actions of smaller agents are padded to the largest; the state is all observations in a row.
"""

from collections.abc import Iterable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import flatdim, flatten
from gymnasium.wrappers import TimeLimit

from .multiagentenv import MultiAgentEnv


class GymmaWrapper(MultiAgentEnv):
    def __init__(self, key, time_limit, pretrained_wrapper, seed, common_reward, reward_scalarisation, **kwargs):
        assert pretrained_wrapper is None, "the stand-in has no pretrained opponents"
        self._env = TimeLimit(gym.make(key, **kwargs), max_episode_steps=time_limit)
        self.n_agents, self.episode_limit = self._env.unwrapped.n_agents, time_limit
        self._spaces = self._env.observation_space
        self._obs_size = max(flatdim(space) for space in self._spaces)
        self._n_actions = [int(space.n) for space in self._env.action_space]
        self.common_reward = common_reward
        if common_reward and reward_scalarisation not in ("sum", "mean"):
            raise ValueError(f"reward_scalarisation={reward_scalarisation}: sum or mean")
        self._scalarise = np.sum if reward_scalarisation == "sum" else np.mean
        self._env.reset(seed=seed)

    def step(self, actions):
        obs, reward, done, truncated, info = self._env.step([int(action) for action in actions])
        self._keep(obs)
        if self.common_reward and isinstance(reward, Iterable):
            reward = float(self._scalarise(reward))
        return self._obs, reward, all(done) if isinstance(done, Iterable) else done, truncated, info

    def reset(self, seed=None, options=None):
        obs, info = self._env.reset(seed=seed, options=options)
        self._keep(obs)
        return self._obs, info

    def _keep(self, obs):
        flat = [np.asarray(flatten(space, part), np.float32) for space, part in zip(self._spaces, obs, strict=True)]
        self._obs = [np.pad(part, (0, self._obs_size - len(part))) for part in flat]

    def get_obs(self):
        return self._obs

    def get_obs_size(self):
        return self._obs_size

    def get_state(self):
        return np.concatenate(self._obs).astype(np.float32)

    def get_state_size(self):
        return self.n_agents * self._obs_size

    def get_avail_actions(self):
        most = self.get_total_actions()
        return [[1] * n + [0] * (most - n) for n in self._n_actions]

    def get_total_actions(self):
        return max(self._n_actions)

    def close(self):
        self._env.close()

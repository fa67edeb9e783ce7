"""Gymnasium toys for several agents, registered as LBF registers its games: on import."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple

OBSERVATIONS = (Box(-9, 9, (2, 2)), Dict({"a": Discrete(3), "b": MultiDiscrete([2, 2])}), Box(-9, 9, (1,)))
ACTIONS = (Discrete(2), Discrete(3, start=5), MultiDiscrete([2, 2]))


class ManySpaces(gymnasium.Env):
    """Three agents, each with other spaces, paid as a team. Keeps the actions given; ends after `length` steps."""

    def __init__(self, length: int = 4, action_spaces=ACTIONS):
        self.length = length
        self.observation_space, self.action_space = Tuple(OBSERVATIONS), Tuple(action_spaces)

    def _observe(self):
        return np.full((2, 2), self.clock), {"a": self.clock % 3, "b": np.array([1, 0])}, np.array([-self.clock])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock, self.given = 0, []
        return self._observe(), {}

    def step(self, actions):
        self.clock += 1
        self.given.append(actions)
        return self._observe(), 0.5, [self.clock >= self.length] * 3, False, {}


class Continuous(ManySpaces):
    """One of its agents has a continuous action."""

    def __init__(self):
        super().__init__(action_spaces=(Discrete(2), Box(-1, 1, (2,)), Discrete(2)))


gymnasium.register("ManySpaces-v0", ManySpaces)
gymnasium.register("Continuous-v0", Continuous)
gymnasium.register("Limited-v0", ManySpaces, max_episode_steps=2)

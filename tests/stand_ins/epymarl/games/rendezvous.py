"""A tiny game for tests, `rendezvous:Rendezvous-v0`: meet where only the first agent knows. Gymnasium is all it needs.

Agents have observations and actions of different sizes; episodes end at different times, or are cut off.
"""

from typing import ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, Tuple

PLACES = 3


class Rendezvous(gym.Env):
    """A place is drawn each step, and shown to agent 0. Each agent gets 1 if all go there; the third time ends it.

    The last agent may also stay at home, which is never good. Agents that act independently cannot do better than to
    meet at one and the same place always, which is right once in three steps; agents that know agent 0's action can
    meet at every step.
    """

    metadata: ClassVar = {"render_modes": []}

    def __init__(self, n_agents=3, meetings=3):
        self.n_agents, self.meetings = n_agents, meetings
        sizes = [1 + PLACES] + [1] * (n_agents - 1)
        self.observation_space = Tuple([Box(0.0, 1.0, (size,), np.float32) for size in sizes])
        self.action_space = Tuple([Discrete(PLACES)] * (n_agents - 1) + [Discrete(PLACES + 1)])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.met = 0
        return self._observe(), {}

    def _observe(self):
        self.place = int(self.np_random.integers(PLACES))
        progress = np.float32([self.met / self.meetings])
        cue = np.concatenate([progress, np.eye(PLACES, dtype=np.float32)[self.place]])
        return (cue, *[progress] * (self.n_agents - 1))

    def step(self, action):
        at_place = set(action) == {self.place}
        self.met += at_place
        return self._observe(), [float(at_place)] * self.n_agents, self.met >= self.meetings, False, {}


gym.register("Rendezvous-v0", entry_point="rendezvous:Rendezvous", disable_env_checker=True)

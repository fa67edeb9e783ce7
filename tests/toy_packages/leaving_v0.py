"""A PettingZoo toy: three agents of different spaces, of which one after the other leaves."""

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from pettingzoo import ParallelEnv

SEEN = {
    "scout": Box(-9.0, 9.0, (2, 2), np.float32),
    "guard": Dict({"post": Discrete(3), "flags": MultiDiscrete([2, 2])}),
    "chief": Dict({"observation": Box(-9.0, 9.0, (1,), np.float32), "action_mask": Box(0, 1, (4,), np.int8)}),
}
DOES = {"scout": Discrete(2), "guard": Discrete(3), "chief": Discrete(4)}
STAYS = {"scout": 1, "guard": 3, "chief": 99}  # steps, then the agent leaves


class Leaving(ParallelEnv):
    """Each agent is paid its action. The chief may not repeat its last action."""

    def __init__(self, max_cycles: int = 5, ends_with_chief: bool = False):
        self.metadata = {"name": "leaving_v0"}
        self.max_cycles, self.ends_with_chief = max_cycles, ends_with_chief
        self.possible_agents = list(SEEN)

    def observation_space(self, agent):
        return SEEN[agent]

    def action_space(self, agent):
        return DOES[agent]

    def _observe(self):
        mask = (np.arange(4) != self.last).astype(np.int8)
        everything = {
            "scout": np.full((2, 2), self.clock, dtype=np.float32),
            "guard": {"post": self.clock % 3, "flags": np.array([1, 0])},
            "chief": {"observation": np.array([-self.clock], dtype=np.float32), "action_mask": mask},
        }
        return {agent: everything[agent] for agent in self.agents}

    def reset(self, seed=None, options=None):
        self.agents, self.clock, self.last = list(self.possible_agents), 0, -1
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents), "only those that are there act"
        self.clock += 1
        self.last = actions["chief"]
        observations, infos = self._observe(), {agent: {} for agent in self.agents}
        rewards = {agent: float(actions[agent]) for agent in self.agents}
        is_cut = self.clock >= self.max_cycles
        terminations = {agent: self.clock >= STAYS[agent] or (is_cut and self.ends_with_chief) for agent in self.agents}
        truncations = {agent: is_cut and not terminations[agent] for agent in self.agents}
        self.agents = [agent for agent in self.agents if not (terminations[agent] or truncations[agent])]
        return observations, rewards, terminations, truncations, infos


parallel_env = raw_env = Leaving

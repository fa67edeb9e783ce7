"""An environment of your own, from this file or the command line; each game in a process of its own:

python examples/your_own_environment.py
bn-mappo --import examples/your_own_environment.py --config=bn_mappo --env-config=relay with t_max=20000
"""

import sys

import numpy as np

import bn_mappo
from bn_mappo.core.specs import EnvInfo
from bn_mappo.envs.multiagentenv import MultiAgentEnv


@bn_mappo.register("env", "relay", "agent 0 sees a number, and all agents must say it")
class Relay(MultiAgentEnv):
    """Without an edge that starts at agent 0, the others can only guess. Keyword-only arguments are the env_args."""

    def __init__(self, seed: int, *, n_agents: int = 3, n_numbers: int = 4, episode_limit: int = 10):
        self.info = EnvInfo(n_agents, n_numbers, obs_dim=n_numbers, state_dim=n_numbers, episode_limit=episode_limit)
        self.rng = np.random.default_rng(seed)

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.clock, self.number = 0, self.rng.integers(self.info.n_actions)

    def step(self, actions):
        reward = float(np.mean(actions == self.number))
        self.clock, self.number = self.clock + 1, self.rng.integers(self.info.n_actions)
        return reward, False, self.clock >= self.info.episode_limit, {}

    def get_obs(self):
        obs = np.zeros((self.info.n_agents, self.info.n_actions), dtype=np.float32)
        obs[0, self.number] = 1.0
        return obs

    def get_state(self):
        return np.eye(self.info.n_actions, dtype=np.float32)[self.number]


def main(*settings: str) -> None:
    small = ("t_max=20000", "batch_size_run=4", "lr=0.002", "dag.generator=full")
    run = bn_mappo.train(bn_mappo.load_config("bn_mappo", "relay", *small, *settings))
    print(f"test return {run.rows[-1]['test_return_mean']:.2f} of 10; guessing earns 5.00")


if __name__ == "__main__":  # workers import this file
    main(*sys.argv[1:])

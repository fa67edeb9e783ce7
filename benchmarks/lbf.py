"""Level-Based Foraging for measurements, as EPyMARL's Gymma plays it; needs the package lbforaging:

    bn-mappo --import benchmarks/lbf.py --config=bn_mappo --env-config=lbf with \
        env_args.key=Foraging-8x8-2p-3f-coop-v3 runner=episode

Team reward: the sum over the agents. State: all observations. The game ends by itself after 50 steps, which counts as a
time-out here.
"""

import gymnasium
import lbforaging  # noqa: F401  registers the games
import numpy as np

import bn_mappo
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.multiagentenv import MultiAgentEnv

LIMIT = 50  # steps


@bn_mappo.register("env", "lbf", "Level-Based Foraging: agents load food that only several of them can lift")
class LevelBasedForaging(MultiAgentEnv):
    """One game of the package."""

    def __init__(self, seed: int, *, key: str = "Foraging-8x8-2p-3f-coop-v3"):
        self.game = gymnasium.make(key, disable_env_checker=True).unwrapped
        self.seed: int | None = seed % 2**31
        n_agents, n_actions = len(self.game.players), int(self.game.action_space[0].n)
        obs_dim = int(self.game.observation_space[0].shape[0])
        self.info = EnvInfo(n_agents, n_actions, obs_dim, n_agents * obs_dim, LIMIT)

    def reset(self, seed: int | None = None) -> None:
        """Start an episode."""
        self.seed = self.seed if seed is None else seed % 2**31
        self.obs, _ = self.game.reset(seed=self.seed)
        self.seed, self.clock = None, 0  # the generator goes on

    def step(self, actions: Array) -> tuple[float, bool, bool, dict[str, float]]:
        """Play the joint action [N]."""
        self.obs, rewards, done, _, _ = self.game.step(tuple(int(action) for action in actions))
        self.clock += 1
        is_over = bool(done) and not self.game.field.any()  # all food is loaded
        return float(np.sum(rewards)), is_over, self.clock >= LIMIT and not is_over, {}

    def get_obs(self) -> Array:
        """[N, D]."""
        return np.stack(self.obs)

    def get_state(self) -> Array:
        """[N * D]."""
        return np.concatenate(self.obs)

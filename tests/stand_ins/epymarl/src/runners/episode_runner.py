"""One game, one episode at a time. Calls the mac once more after the last step, and records that action too."""

from functools import partial

import numpy as np
from components.episode_buffer import EpisodeBatch
from envs import REGISTRY as env_REGISTRY
from envs import reward_args

from .statistics import Returns


class EpisodeRunner:
    def __init__(self, args, logger):
        self.args, self.logger = args, logger
        self.batch_size = args.batch_size_run
        assert self.batch_size == 1
        self.env = env_REGISTRY[args.env](**args.env_args, **reward_args(args))
        self.episode_limit = self.env.episode_limit
        self.t = self.t_env = 0
        self.statistics = Returns(args, logger)

    log_train_stats_t = property(
        lambda self: self.statistics.log_train_stats_t,
        lambda self, t: setattr(self.statistics, "log_train_stats_t", t),
    )

    def setup(self, scheme, groups, preprocess, mac):
        size = (self.batch_size, self.episode_limit + 1)
        self.new_batch = partial(EpisodeBatch, scheme, groups, *size, preprocess=preprocess, device=self.args.device)
        self.mac = mac

    def get_env_info(self):
        return self.env.get_env_info()

    def save_replay(self):
        self.env.save_replay()

    def close_env(self):
        self.env.close()

    def run(self, test_mode=False):
        self.batch, self.t = self.new_batch(), 0
        self.env.reset()
        self.mac.init_hidden(batch_size=self.batch_size)
        terminated, episode_return = False, 0.0
        while not terminated:
            self._observe()
            actions, recorded = self._act(test_mode)
            _, reward, terminated, truncated, info = self.env.step(actions[0])
            terminated = terminated or truncated
            episode_return = episode_return + (reward if np.isscalar(reward) else np.array(reward))
            ended = terminated != info.get("episode_limit", False)
            recorded |= {"terminated": [(ended,)], "reward": [np.atleast_1d(reward)]}
            self.batch.update(recorded, ts=self.t)
            self.t += 1
        self._observe()
        self.batch.update(self._act(test_mode)[1], ts=self.t)
        self.statistics.add(test_mode, [episode_return], [info], self.t)
        if not test_mode:
            self.t_env += self.t
        self.statistics.log_if_due(test_mode, self.t_env, self.args.test_nepisode, self.mac.action_selector)
        return self.batch

    def _observe(self):
        seen = {"state": self.env.get_state(), "avail_actions": self.env.get_avail_actions(), "obs": self.env.get_obs()}
        self.batch.update({name: [value] for name, value in seen.items()}, ts=self.t)

    def _act(self, test_mode):
        chosen = self.mac.select_actions(self.batch, t_ep=self.t, t_env=self.t_env, test_mode=test_mode)
        if getattr(self.args, "save_probs", False) and self.args.dialect == "pymarl2":
            return chosen[0], {"actions": chosen[0], "probs": chosen[1]}
        return chosen, {"actions": chosen}

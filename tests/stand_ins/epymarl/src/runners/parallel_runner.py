"""batch_size_run games side by side, one episode each. (Upstream: one process a game; here all in this one.)

A game that has just ended is among `bs` once more, so that its last observation gets an action; then it rests.
"""

from functools import partial

import numpy as np
from components.episode_buffer import EpisodeBatch
from envs import REGISTRY as env_REGISTRY
from envs import reward_args

from .statistics import Returns


class ParallelRunner:
    def __init__(self, args, logger):
        self.args, self.logger = args, logger
        self.batch_size = args.batch_size_run
        seeds = [{"seed": args.env_args["seed"] + i} for i in range(self.batch_size)]
        self.envs = [env_REGISTRY[args.env](**{**args.env_args, **seed, **reward_args(args)}) for seed in seeds]
        self.env_info = self.envs[0].get_env_info()
        self.episode_limit = self.env_info["episode_limit"]
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
        return self.env_info

    def save_replay(self):
        self.envs[0].save_replay()

    def close_env(self):
        for env in self.envs:
            env.close()

    def run(self, test_mode=False):
        self.batch, self.t = self.new_batch(), 0
        for env in self.envs:
            env.reset()
        self.mac.init_hidden(batch_size=self.batch_size)
        games = list(range(self.batch_size))  # those that the mac acts in
        has_ended = [False] * self.batch_size
        returns = [0.0] * self.batch_size
        n_steps, infos = 0, []
        self._observe(games)
        while True:
            actions, recorded = self._act(games, test_mode)
            self.batch.update(recorded, bs=games, ts=self.t, mark_filled=False)
            of_game = dict(zip(games, actions.to("cpu").numpy(), strict=True))
            games = [game for game in games if not has_ended[game]]
            if not games:
                break
            rewards, ends = [], []
            for game in games:
                _, reward, terminated, truncated, info = self.envs[game].step(of_game[game])
                has_ended[game] = terminated or truncated
                if has_ended[game]:
                    infos.append(info)
                returns[game] = returns[game] + (reward if np.isscalar(reward) else np.array(reward))
                rewards.append(np.atleast_1d(reward))
                ends.append((has_ended[game] and not info.get("episode_limit", False),))
                n_steps += 1
            self.batch.update({"reward": rewards, "terminated": ends}, bs=games, ts=self.t, mark_filled=False)
            self.t += 1
            self._observe(games)
        self.statistics.add(test_mode, returns, infos, n_steps)
        if not test_mode:
            self.t_env += n_steps
        n_test_episodes = max(1, self.args.test_nepisode // self.batch_size) * self.batch_size
        self.statistics.log_if_due(test_mode, self.t_env, n_test_episodes, self.mac.action_selector)
        return self.batch

    def _observe(self, games):
        envs = [self.envs[game] for game in games]
        seen = {
            "state": [env.get_state() for env in envs],
            "avail_actions": [env.get_avail_actions() for env in envs],
            "obs": [env.get_obs() for env in envs],
        }
        self.batch.update(seen, bs=games, ts=self.t, mark_filled=True)

    def _act(self, games, test_mode):
        chosen = self.mac.select_actions(self.batch, t_ep=self.t, t_env=self.t_env, bs=games, test_mode=test_mode)
        if getattr(self.args, "save_probs", False) and self.args.dialect == "pymarl2":
            actions, probs = chosen
            return actions, {"actions": actions.unsqueeze(1), "probs": probs.unsqueeze(1)}
        return chosen, {"actions": chosen.unsqueeze(1)}

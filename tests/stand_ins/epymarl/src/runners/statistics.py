"""What both runners tell the logger. (Upstream has it in each of them.)"""

import numpy as np


class Returns:
    """Mean returns and infos of the episodes since the last line of the log; training and tests apart."""

    def __init__(self, args, logger):
        self.args, self.logger = args, logger
        self.returns = {False: [], True: []}
        self.stats = {False: {}, True: {}}
        self.log_train_stats_t = -1000000

    def add(self, test_mode, returns, infos, n_steps):
        stats = self.stats[test_mode]
        for info in [*infos, {"n_episodes": len(returns), "ep_length": n_steps}]:
            for name, value in info.items():
                stats[name] = stats.get(name, 0) + value
        self.returns[test_mode].extend(returns)

    def log_if_due(self, test_mode, t_env, n_test_episodes, action_selector):
        """A test's line once it is complete, else a line of training where one is due (also during a test)."""
        if test_mode and len(self.returns[True]) == n_test_episodes:
            self._log(True, t_env, "test_")
        elif t_env - self.log_train_stats_t >= self.args.runner_log_interval:
            self._log(test_mode, t_env, "test_" if test_mode else "")
            if hasattr(action_selector, "epsilon"):
                self.logger.log_stat("epsilon", action_selector.epsilon, t_env)
            self.log_train_stats_t = t_env

    def _log(self, test_mode, t_env, prefix):
        returns, stats = np.array(self.returns[test_mode]), self.stats[test_mode]
        if returns.ndim == 1:
            self.logger.log_stat(prefix + "return_mean", returns.mean(), t_env)
            self.logger.log_stat(prefix + "return_std", returns.std(), t_env)
        else:  # [episodes, N]
            for i, of_agent in enumerate(returns.T):
                self.logger.log_stat(f"{prefix}agent_{i}_return_mean", of_agent.mean(), t_env)
                self.logger.log_stat(f"{prefix}agent_{i}_return_std", of_agent.std(), t_env)
            self.logger.log_stat(prefix + "total_return_mean", returns.sum(-1).mean(), t_env)
            self.logger.log_stat(prefix + "total_return_std", returns.sum(-1).std(), t_env)
        for name, value in stats.items():
            if name != "n_episodes":
                self.logger.log_stat(f"{prefix}{name}_mean", value / stats["n_episodes"], t_env)
        self.returns[test_mode].clear()
        stats.clear()

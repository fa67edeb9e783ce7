"""Evaluations of a run: on games of their own, so that they cannot disturb training."""

import numpy as np

from bn_mappo.config.schema import Config
from bn_mappo.controllers.basic_controller import MAC
from bn_mappo.core.clock import Clock
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.evaluator import StepObserver, evaluate
from bn_mappo.training.exact_value import ExactValue


class Tester:
    """Evaluates the present policy. Owns the test environment, made on first use."""

    __test__ = False  # pytest: this is none

    def __init__(self, config: Config, mac: MAC):
        self.config, self.mac = config, mac.deployed
        self.env: VecEnv | None = None
        self.exact: ExactValue | None = None  # as the environment, made on first use

    def make_env(self) -> VecEnv:
        """The test environment."""
        if self.env is None:
            config = self.config
            n_games = config.test_nepisode if config.runner == "vector" else config.batch_size_run
            self.env = make_vec_env(config, min(n_games, config.test_nepisode), "test")
        return self.env

    def __call__(
        self, clock: Clock, greedy: bool | None = None, observer: StepObserver | None = None
    ) -> dict[str, np.ndarray]:
        """Returns, lengths and infos of test_nepisode episodes."""
        config, env = self.config, self.make_env()
        greedy = config.test_greedy if greedy is None else greedy
        n_episodes, t_env = config.test_nepisode, clock.t_env
        return evaluate(env, self.mac, n_episodes, config.seed, t_env, greedy, clock.fraction, observer)

    def metrics(self, clock: Clock) -> dict[str, float]:
        """Means over test_nepisode episodes, and exact values where the environment has a tabular model."""
        episodes = self(clock)
        if self.exact is None:
            self.exact = ExactValue(self.make_env(), self.mac, self.config.seed)
        return {**test_metrics(episodes), **self.exact(clock.t_env, clock.fraction)}

    def restarts(self) -> int:
        """How often games of the test environment broke down."""
        return 0 if self.env is None else self.env.restarts()

    def close(self) -> None:
        """End the test environment."""
        if self.env is not None:
            self.env.close()


def test_metrics(episodes: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over the episodes of an evaluation, named as EPyMARL does."""
    means = {f"test_{name}_mean": float(values.mean()) for name, values in episodes.items()}
    return {**means, "test_return_std": float(episodes["return"].std())}

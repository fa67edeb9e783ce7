"""One run: build what the configuration names, then train or evaluate it."""

import errno
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from bn_mappo.config.schema import Config
from bn_mappo.controllers import REGISTRY as MACS
from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.core.errors import RunError
from bn_mappo.core.seeding import Generators
from bn_mappo.envs.adapters.backends import run_metrics
from bn_mappo.envs.registry import get_env_info, make_vec_env
from bn_mappo.envs.vec_env import EnvInfo, VecEnv
from bn_mappo.learners import REGISTRY as LEARNERS
from bn_mappo.learners.ppo_learner import PPOLearner, Statistics
from bn_mappo.tracking.metrics import MetricLog
from bn_mappo.training.checkpoint import (
    check_fits,
    check_resumes,
    checkpoint_file,
    describe_difference,
    find_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from bn_mappo.training.collector import Rollout
from bn_mappo.training.evaluator import Watcher, evaluate
from bn_mappo.training.exact_value import ExactValue
from bn_mappo.training.interrupts import Interrupt
from bn_mappo.training.memory import keep_freed_memory
from bn_mappo.training.progress import TrainingProgress

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class Setup(NamedTuple):
    """Everything that a configuration builds without starting an environment."""

    info: EnvInfo
    generators: Generators
    mac: BasicMAC
    learner: PPOLearner
    checkpoint: dict[str, Any] | None  # the one to go on from
    checkpoint_path: Path | None


class RunResult(NamedTuple):
    """How a run ended."""

    t_env: int
    test: dict[str, float]  # the last evaluation
    signum: int | None  # the signal that interrupted it


def build(config: Config) -> Setup:
    """Check everything that can be wrong with the configuration, and build networks and learner."""
    device = torch.device("cpu")
    if config.use_cuda:
        if torch.cuda.is_available():
            device = torch.device("cuda")
        else:
            warnings.warn("use_cuda=True, but there is no CUDA device: running on the CPU", stacklevel=2)
    torch.set_num_threads(config.torch_threads)
    keep_freed_memory()
    info, generators = get_env_info(config), Generators(config.seed, device)
    mac: BasicMAC = MACS[config.mac](config, info, generators).to(device)
    learner: PPOLearner = LEARNERS[config.learner](config, info, mac, generators)
    if not config.checkpoint_path:
        return Setup(info, generators, mac, learner, None, None)
    path = find_checkpoint(config.checkpoint_path, config.load_step)
    checkpoint = read_checkpoint(path, device)
    if not config.evaluate:
        check_resumes(path, checkpoint, config.model_dump())
    check_fits(path, checkpoint["learner"]["mac"], mac.state_dict(), "weight")
    check_fits(path, checkpoint["learner"]["critic"], learner.critic.state_dict(), "critic weight")
    learner.load_state_dict(checkpoint["learner"])
    return Setup(info, generators, mac, learner, checkpoint, path)


def start_rollout(config: Config, setup: Setup) -> Rollout:
    """The training games, standing at their start."""
    env = make_vec_env(config, config.batch_size_run, "train")
    scheme = {**setup.mac.scheme(), **setup.learner.scheme()}
    return Rollout(env, setup.mac, scheme, config.segment_length, setup.generators)


class Tester:
    """Evaluates the present policy. Owns the test environment, made on first use."""

    def __init__(self, config: Config, mac: BasicMAC):
        self.config, self.mac = config, mac
        self.env: VecEnv | None = None
        self.exact: ExactValue | None = None  # as the environment, made on first use

    def make_env(self) -> VecEnv:
        """The test environment."""
        if self.env is None:
            config = self.config
            n_games = config.test_nepisode if config.runner == "vector" else config.batch_size_run
            self.env = make_vec_env(config, min(n_games, config.test_nepisode), "test")
        return self.env

    def __call__(self, t_env: int, greedy: bool | None = None, watcher: Watcher | None = None) -> dict[str, np.ndarray]:
        """Returns, lengths and infos of test_nepisode episodes."""
        config, env = self.config, self.make_env()
        fraction = min(t_env / config.t_max, 1.0)
        greedy = config.test_greedy if greedy is None else greedy
        return evaluate(env, self.mac, config.test_nepisode, config.seed, t_env, greedy, fraction, watcher)

    def metrics(self, t_env: int) -> dict[str, float]:
        """Means over test_nepisode episodes, and exact values where the environment has a tabular model."""
        episodes = self(t_env)
        if self.exact is None:
            self.exact = ExactValue(self.make_env(), self.mac, self.config.seed)
        return {**test_metrics(episodes), **self.exact(t_env, min(t_env / self.config.t_max, 1.0))}

    def restarts(self) -> int:
        """How often games of the test environment broke down."""
        return 0 if self.env is None else self.env.restarts()

    def close(self) -> None:
        """End the test environment."""
        if self.env is not None:
            self.env.close()


def crossed(before: int, now: int, interval: int) -> bool:
    """Whether a multiple of the interval lies in (before, now]: what is due depends on the step alone."""
    return now // interval > before // interval


def test_metrics(episodes: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over the episodes of an evaluation, named as EPyMARL does."""
    means = {f"test_{name}_mean": float(values.mean()) for name, values in episodes.items()}
    return {**means, "test_return_std": float(episodes["return"].std())}


class Training:
    """One training run: play a segment, learn from it, and now and then test, log and save. Owns all games."""

    def __init__(self, config: Config, setup: Setup, log: MetricLog, folder: Path):
        self.config, self.setup, self.log, self.folder = config, setup, log, folder
        self.tester = Tester(config, setup.mac)
        self.rollout = start_rollout(config, setup)
        self.env = self.rollout.env
        self.t_env = 0
        self.test: dict[str, float] = {}  # the last evaluation
        if setup.checkpoint is not None and setup.checkpoint_path is not None:
            self.resume(setup.checkpoint, setup.checkpoint_path)

    def run(self) -> RunResult:
        """Train to t_max, or until a signal."""
        config = self.config
        with Interrupt() as interrupt, TrainingProgress(self.t_env, config.t_max) as progress:
            if self.t_env == 0 and self.log.n_rows == 0:
                self.log.log(0, self.evaluate({}))
            while self.t_env < config.t_max and interrupt.signum is None:
                before, statistics = self.t_env, self.update()
                is_last = self.t_env >= config.t_max
                row = self.due_metrics(before, is_last, statistics)
                if row:
                    self.log.log(self.t_env, row)
                progress.update(self.t_env, row)
                if config.save_model and (is_last or crossed(before, self.t_env, config.save_model_interval)):
                    self.save()
            if interrupt.signum is not None:
                self.save()
        return RunResult(self.t_env, self.test, interrupt.signum)

    def update(self) -> Statistics:
        """One segment and one update; a failure saves the last good state, and never over a checkpoint."""
        learner = self.setup.learner
        try:
            batch = self.rollout.run_segment(self.t_env / self.config.t_max)
        except RunError:
            self.save(overwrite=False)
            raise
        good = learner.snapshot()
        try:
            after = self.t_env + batch.batch_size * batch.n_steps
            statistics = learner.train(batch, self.t_env, with_stats=self.is_logged(self.t_env, after))
        except RunError:
            learner.restore(good)
            self.t_env += batch.batch_size * batch.n_steps  # they have been played
            self.save()
            raise
        self.t_env += batch.batch_size * batch.n_steps
        return statistics

    def is_logged(self, before: int, after: int) -> bool:
        """Whether the statistics of the update between these steps make a row."""
        return after >= self.config.t_max or crossed(before, after, self.config.log_interval)

    def due_metrics(self, before: int, is_last: bool, statistics: Statistics) -> dict[str, float]:
        """What is to be logged at this step; what is due depends on the step alone, so a resumed run logs the same."""
        row: dict[str, float] = {}
        if self.is_logged(before, self.t_env):
            row = {name: float(value) for name, value in statistics.items()} | self.rollout.stats.pop()
            row |= self.environment_metrics()
        if is_last or crossed(before, self.t_env, self.config.test_interval):
            row = self.evaluate(row)
        return row

    def environment_metrics(self) -> dict[str, float]:
        """What a row tells of the games themselves."""
        return run_metrics(self.config.env, self.env.restarts() + self.tester.restarts())

    def evaluate(self, row: dict[str, float]) -> dict[str, float]:
        """The row with an evaluation of the present policy; where games fail too often, row and checkpoint are kept."""
        try:
            self.test = self.tester.metrics(self.t_env)
        except RunError:
            if row:
                self.log.log(self.t_env, row)
            self.save(overwrite=False)
            raise
        return {**row, **self.test, **self.environment_metrics()}

    def save(self, overwrite: bool = True) -> None:
        """Write a checkpoint of everything that a resumed run needs."""
        folder = self.folder / "checkpoints"
        if not overwrite and checkpoint_file(folder, self.t_env).exists():
            return
        content = {
            "config": self.config.model_dump(),
            "learner": self.setup.learner.state_dict(),
            "rollout": self.rollout.state_dict(),
            "generators": self.setup.generators.state_dict(),
            "n_rows": self.log.n_rows,
        }
        save_checkpoint(folder, self.t_env, content)

    def resume(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Go on from a checkpoint; networks and optimiser have their state already (build)."""
        self.setup.generators.load_state_dict(checkpoint["generators"])
        if not self.rollout.load_state_dict(checkpoint["rollout"]):
            print(f"note: {self.config.env} cannot restore running games: they start anew, so this is not exact")
        for difference in describe_difference(checkpoint["config"], self.config.model_dump()):
            print(f"note: resumed with another {difference}")
        self.log.replay(path.parent.parent, int(checkpoint["n_rows"]))
        self.t_env = int(checkpoint["t_env"])

    def rescue(self, error: OSError) -> RunError:
        """The disk is full or gone: try to save a checkpoint all the same; returns what to tell."""
        try:
            self.save(overwrite=False)
            outcome = f"The checkpoint of step {self.t_env:,} is saved."
        except OSError:
            outcome = f"No checkpoint of step {self.t_env:,} could be saved; the one before is whole."
        return RunError(f"the run cannot write its files: {error}. {outcome} Make room, then resume.")

    def close(self) -> None:
        """End all games."""
        self.env.close()
        self.tester.close()


def train(config: Config, setup: Setup, log: MetricLog, folder: Path) -> RunResult:
    """One training run, whose games end with it."""
    training = Training(config, setup, log, folder)
    try:
        return training.run()
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise training.rescue(error) from error
    finally:
        training.close()

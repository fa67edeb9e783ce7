"""One run: build what the configuration names, then train or evaluate it."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from controllers import REGISTRY as MACS
from controllers.basic_controller import BasicMAC
from envs import get_env_info, make_vec_env
from envs.vec_env import EnvInfo, VecEnv
from learners import REGISTRY as LEARNERS
from learners.ppo_learner import PPOLearner
from runners.evaluation import evaluate
from runners.rollout import Rollout
from utils.checkpoint import check_fits, describe_difference, find_checkpoint, read_checkpoint, save_checkpoint
from utils.config import Config
from utils.errors import RunError
from utils.interrupts import Interrupt
from utils.memory import keep_freed_memory
from utils.progress import TrainingProgress
from utils.seeding import Generators
from utils.tracking import MetricLog


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
    check_fits(path, checkpoint["learner"]["mac"], mac.state_dict(), "weight")
    check_fits(path, checkpoint["learner"]["critic"], learner.critic.state_dict(), "critic weight")
    learner.load_state_dict(checkpoint["learner"])
    return Setup(info, generators, mac, learner, checkpoint, path)


class Tester:
    """Evaluates the present policy. Owns the test environment, made on first use."""

    def __init__(self, config: Config, mac: BasicMAC):
        self.config, self.mac = config, mac
        self.env: VecEnv | None = None

    def __call__(self, t_env: int, greedy: bool | None = None) -> dict[str, np.ndarray]:
        """Returns, lengths and infos of test_nepisode episodes."""
        config = self.config
        if self.env is None:
            n_games = config.test_nepisode if config.runner == "vector" else config.batch_size_run
            self.env = make_vec_env(config, min(n_games, config.test_nepisode), "test")
        fraction = min(t_env / config.t_max, 1.0)
        greedy = config.test_greedy if greedy is None else greedy
        return evaluate(self.env, self.mac, config.test_nepisode, config.seed, t_env, greedy, fraction)

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


def train(config: Config, setup: Setup, log: MetricLog, folder: Path) -> RunResult:
    """Train to t_max: play a segment, learn from it, and now and then test, log and save."""
    mac, learner, generators = setup.mac, setup.learner, setup.generators
    tester, env = Tester(config, mac), make_vec_env(config, config.batch_size_run, "train")
    try:
        scheme = {**mac.scheme(), **learner.scheme()}
        rollout = Rollout(env, mac, scheme, config.segment_length, generators)
        t_env, test = resume(config, setup, rollout, log), {}

        def save() -> None:
            content = {
                "config": config.model_dump(),
                "learner": learner.state_dict(),
                "rollout": rollout.state_dict(),
                "generators": generators.state_dict(),
                "n_rows": log.n_rows,
            }
            save_checkpoint(folder / "checkpoints", t_env, content)

        with Interrupt() as interrupt, TrainingProgress(t_env, config.t_max) as progress:
            if t_env == 0:
                test = test_metrics(tester(t_env))
                log.log(t_env, test)
            while t_env < config.t_max and interrupt.signum is None:
                before = t_env
                batch = rollout.run_segment(t_env / config.t_max)
                try:
                    statistics = learner.train(batch, t_env)
                except RunError:
                    save()
                    raise
                t_env += batch.batch_size * batch.n_steps
                is_last = t_env >= config.t_max
                values: dict[str, float] = {}
                if is_last or crossed(before, t_env, config.log_interval):
                    values = {name: float(value) for name, value in statistics.items()} | rollout.stats.pop()
                    if env.restarts():
                        values["env_restarts"] = env.restarts()
                if is_last or crossed(before, t_env, config.test_interval):
                    test = test_metrics(tester(t_env))
                    values |= test
                if values:
                    log.log(t_env, values)
                progress.update(t_env, values)
                if config.save_model and (is_last or crossed(before, t_env, config.save_model_interval)):
                    save()
            if interrupt.signum is not None:
                save()
        return RunResult(t_env, test, interrupt.signum)
    finally:
        env.close()
        tester.close()


def resume(config: Config, setup: Setup, rollout: Rollout, log: MetricLog) -> int:
    """Go on from the checkpoint, if there is one; returns the environment steps already played."""
    if setup.checkpoint is None or setup.checkpoint_path is None:
        return 0
    checkpoint = setup.checkpoint
    setup.generators.load_state_dict(checkpoint["generators"])
    if not rollout.load_state_dict(checkpoint["rollout"]):
        print(f"note: {config.env} cannot restore running games: they start anew, so the resumed run is not exact")
    for difference in describe_difference(checkpoint["config"], config.model_dump()):
        print(f"note: resumed with another {difference}")
    log.replay(setup.checkpoint_path.parent.parent, int(checkpoint["n_rows"]))
    return int(checkpoint["t_env"])


def evaluate_checkpoint(config: Config, setup: Setup) -> dict[str, np.ndarray]:
    """Play test_nepisode episodes with the weights of the checkpoint."""
    assert setup.checkpoint is not None, "Config makes evaluate=True need a checkpoint"
    tester = Tester(config, setup.mac)
    try:
        return tester(int(setup.checkpoint["t_env"]))
    finally:
        tester.close()

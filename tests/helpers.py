"""What several tests need: a configuration from overrides, and everything that stands on it."""

import signal
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bn_mappo.cli import train
from bn_mappo.config.loading import config_names, load_layers, merge
from bn_mappo.config.schema import Config, used_values, validate
from bn_mappo.core.clock import Clock
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.training.build import Setup, build, start_collector
from bn_mappo.training.collector import Collector

MAIN = Path(__file__).parents[1] / "src" / "main.py"  # the command line of the checkout


def make_config(alg: str = "bn_mappo", env: str = "aloha", **updates: Any) -> Config:
    """The configuration of `--config=alg --env-config=env with key=value`; `dag__generator` stands for dag.generator.

    Keys of parts that the configuration does not choose are left out. An environment without YAML of its own, one for
    tests, runs with the settings of the Coordination Game.
    """
    small = {"batch_size_run": 4, "batch_size": 4, "segment_length": 6, "hidden_dim": 16, "test_nepisode": 4}
    layers = load_layers(alg, env if env in config_names("envs") else "coordination_game")
    if env not in config_names("envs"):
        layers |= {"env": env, "env_args": {}}
    words = [f"{key.replace('__', '.')}={value}" for key, value in {**small, **updates}.items()]
    given: Any = OmegaConf.to_container(OmegaConf.from_dotlist(words))
    return validate(settle(used_values(merge(layers, given))).values)


def make_rollout(config: Config) -> tuple[Setup, Collector]:
    """Networks, learner and training games of a configuration."""
    setup = build(config)
    return setup, start_collector(config, setup)


def train_updates(config: Config, n_updates: int) -> tuple[Setup, Collector, list[dict[str, float]], EpisodeBatch]:
    """Train some updates; returns the statistics of each and the last batch."""
    setup, rollout = make_rollout(config)
    statistics, clock = [], Clock(config.t_max)
    for _ in range(n_updates):
        batch = rollout.collect(clock.fraction)
        statistics.append({name: float(value) for name, value in setup.learner.train(batch, clock.fraction).items()})
        clock.advance(batch.batch_size * batch.n_steps)
    return setup, rollout, statistics, batch


def hear_signals() -> None:
    """For a new process: signals that this one was told to ignore, as under nohup, have their usual effect again."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run_main(arguments: list[str], captured: Any) -> tuple[int, str, str]:
    """Exit status, stdout and stderr (as capsys or capfd has it) of `python src/main.py ARGUMENTS`, in this process."""
    argv, sys.argv = sys.argv, ["src/main.py", *arguments]
    try:
        train.main(arguments)
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        sys.argv = argv
    return status, *captured.readouterr()

"""Builds what a configuration names: networks, learner, and the checkpoint to go on from. Starts no environment.

Where several processes train together (core/ranks.py), each builds the same networks and its share of the games.
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bn_mappo.config.schema import Config
from bn_mappo.controllers import REGISTRY as MACS
from bn_mappo.controllers.basic_controller import MAC
from bn_mappo.core import ranks
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.envs.registry import get_env_info, make_vec_env
from bn_mappo.learners import REGISTRY as LEARNERS
from bn_mappo.learners.learner import Learner
from bn_mappo.training.acting_graph import GraphedPlayer
from bn_mappo.training.checkpoint import (
    check_fits,
    check_resumes,
    check_rules,
    differences_of_play,
    find_checkpoint,
    read_checkpoint,
)
from bn_mappo.training.collector import Collector
from bn_mappo.training.memory import keep_freed_memory


class Setup(NamedTuple):
    """Everything that a configuration builds without starting an environment."""

    info: EnvInfo
    generators: Generators
    mac: MAC
    learner: Learner
    checkpoint: dict[str, Any] | None  # the one to go on from
    checkpoint_path: Path | None


def build(config: Config) -> Setup:
    """Check everything that can be wrong with the configuration, and build networks and learner."""
    device = device_of(config)
    check_ranks(config)
    ranks.join(device)
    torch.set_num_threads(config.torch_threads)
    keep_freed_memory()
    info, generators, mac, learner = make_parts(config, device)
    generators.belong_to(ranks.rank())
    if not config.checkpoint_path:
        return Setup(info, generators, mac, learner, None, None)
    path = find_checkpoint(config.checkpoint_path, config.load_step)
    checkpoint = read_checkpoint(path, device)
    check_rules(path, checkpoint, info.record.rules, config.evaluate)
    if not config.evaluate:
        check_resumes(path, checkpoint, config.values())
        if (before := checkpoint.get("n_ranks", 1)) != ranks.size():
            raise ConfigError(
                f"{path} was written by {before} processes that trained together, and this run has {ranks.size()}: "
                f"resume with torchrun --nproc-per-node={before}"
            )
    elif changed := differences_of_play(checkpoint["config"], config.values()):
        print(f"note: evaluated with other settings than {path.parent.parent} was trained with: {', '.join(changed)}")
    check_fits(path, checkpoint["learner"]["mac"], mac.state_dict(), "weight")
    for name, network in learner.networks().items():
        check_fits(path, checkpoint["learner"].get(name, {}), network.state_dict(), f"{name} weight")
    learner.load_state_dict(checkpoint["learner"])
    return Setup(info, generators, mac, learner, checkpoint, path)


def make_parts(config: Config, device: torch.device) -> tuple[EnvInfo, Generators, MAC, Learner]:
    """The facts of the environment, and what learns in it; ConfigError where they do not go together."""
    info, generators = get_env_info(config), Generators(config.seed, device)
    mac: MAC = MACS[config.mac.name](config.mac.options, info, generators).to(device)
    learner: Learner = LEARNERS[config.learner.name](config.learner.options, info, mac, generators)
    return info, generators, mac, learner


def device_of(config: Config) -> torch.device:
    """Where networks and batches lie; ConfigError where the configured GPU is not there."""
    if config.use_cuda and config.device == "cpu" and not torch.cuda.is_available():
        warnings.warn("use_cuda=True, but there is no CUDA device: running on the CPU", stacklevel=2)
        return torch.device("cpu")
    device = torch.device("cuda" if config.use_cuda and config.device == "cpu" else config.device)
    if device.type == "cpu":
        if config.cuda_graphs:
            raise ConfigError("cuda_graphs=True records what a GPU does: set device=cuda, or cuda_graphs=False")
        return device
    n_devices = torch.cuda.device_count()
    number = device.index if device.index is not None else ranks.local_rank()
    if number >= n_devices:
        there = f"{n_devices} CUDA devices" if n_devices else "no CUDA device"
        raise ConfigError(f"device={config.device}: this machine has {there} (cuda:{number} is wanted). Use device=cpu")
    return torch.device("cuda", number)


def check_ranks(config: Config) -> None:
    """ConfigError where the games cannot be shared out to the processes of this run."""
    shared = {"batch_size_run": config.batch_size_run, "batch_size": config.learner.options.batch_size}
    for key, value in shared.items():
        if value is not None and value % ranks.size():
            raise ConfigError(f"{key}={value} must be a multiple of {ranks.size()}: so many processes train together")


def start_collector(config: Config, setup: Setup) -> Collector:
    """The training games, standing at their start."""
    rank = ranks.rank()
    env = make_vec_env(config, config.batch_size_run // ranks.size(), "train" if rank == 0 else f"train_{rank}")
    scheme = {**setup.mac.scheme(), **setup.learner.scheme()}
    on_gpu = setup.generators.device.type == "cuda"  # use_cuda=True may have ended on the CPU
    player = GraphedPlayer(setup.mac) if config.cuda_graphs and on_gpu else setup.mac
    return Collector(env, player, scheme, config.segment_length, setup.generators)

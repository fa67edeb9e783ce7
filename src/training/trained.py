"""A recorded run, read back from its checkpoint with the configuration that it was trained with."""

from dataclasses import dataclass
from pathlib import Path

import torch

from bn_mappo.config.loading import default_values, merge, overlay
from bn_mappo.config.schema import Config, validate
from bn_mappo.core.clock import Clock
from bn_mappo.core.plugins import load_plugins
from bn_mappo.tracking.metrics import Row, read_metrics
from bn_mappo.training.build import Setup, build
from bn_mappo.training.checkpoint import find_checkpoint, read_checkpoint


@dataclass(frozen=True)
class Run:
    """A policy that has been trained, and where it is recorded."""

    config: Config
    setup: Setup  # networks and learner
    t_env: int  # environment steps it was trained for
    folder: Path

    @property
    def rows(self) -> list[Row]:
        """The logged metrics, a row each: {"step": 2000, "return_mean": 1.5, ...}."""
        return read_metrics(self.folder)

    @property
    def clock(self) -> Clock:
        """How far its training is."""
        return Clock(self.config.t_max, self.t_env)


def load_run(folder: str | Path, step: int = 0) -> Run:
    """A recorded run, from its folder or a checkpoint file; `step`: which checkpoint, in environment steps (0: latest).

    Imports the plugins that the run was made with. A key that is younger than the run has its default. ConfigError
    where there is no such run.
    """
    path = find_checkpoint(str(folder), step)
    content = read_checkpoint(path, torch.device("cpu"))
    load_plugins(content["config"].get("plugins", []))
    own = {"checkpoint_path": str(path), "evaluate": True, "load_step": 0, "device": "cpu", "use_cuda": False}
    config = validate(merge(overlay(default_values(), content["config"]), own))
    here = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return Run(config, build(config), int(content["t_env"]), here)

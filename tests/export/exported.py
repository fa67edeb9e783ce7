"""Small runs for tests of the export: untrained policies with checkpoints, and folders exported from them."""

from pathlib import Path
from typing import Any

import torch

from bn_mappo.api import load_run
from bn_mappo.controllers.basic_controller import MAC
from bn_mappo.export.folder import Exported, Plan, export_run
from bn_mappo.training.checkpoint import save_checkpoint
from helpers import make_config, make_rollout

GAIN = 100.0  # of the heads: an untrained policy is nearly uniform, and its choices would depend on rounding


@torch.no_grad()
def sharpen(mac: MAC) -> None:
    """Let an untrained policy prefer some actions clearly."""
    for name, weight in getattr(mac, "actor", mac).named_parameters():
        if "head" in name or "listening" in name:
            weight.mul_(GAIN)


def save_run(folder: Path, alg: str = "bn_mappo", env: str = "coordination_game", **updates: Any) -> Path:
    """A run's folder with the checkpoint of an untrained policy that prefers some actions clearly."""
    config = make_config(alg, env=env, **updates)
    setup, _ = make_rollout(config)
    sharpen(setup.mac)
    content = {"config": config.values(), "learner": setup.learner.state_dict(), "rules": setup.info.record.rules}
    save_checkpoint(folder / "checkpoints", 1000, content)
    return folder


def status_of(command: Any, arguments: list[str]) -> int:
    """The exit status of a command line."""
    try:
        return int(command.main(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)


def export(run: Path, folder: Path, **plan: Any) -> Exported:
    """The run's policy as a folder, checked on a few steps and games."""
    return export_run(load_run(run), folder, Plan(**{"n_steps": 300, "n_games": 8, **plan}))

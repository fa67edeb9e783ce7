"""A recorded run, read back from its checkpoint with the configuration that it was trained with."""

from pathlib import Path
from typing import NamedTuple

import torch

from bn_mappo.config.loading import default_values, overlay
from bn_mappo.config.schema import Config, validate
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.errors import ConfigError
from bn_mappo.training.build import build
from bn_mappo.training.checkpoint import find_checkpoint, read_checkpoint


class TrainedPolicy(NamedTuple):
    """A policy, and where it comes from."""

    name: str
    folder: Path
    checkpoint: Path
    config: Config
    mac: DAGMAC
    t_env: int  # environment steps it was trained for
    fraction: float  # of its training that is done


def load_policy(given: str, step: int) -> TrainedPolicy:
    """The DAG policy of a run's folder or of a checkpoint file; ConfigError where there is none."""
    try:
        path = find_checkpoint(given, step)
        content = read_checkpoint(path, torch.device("cpu"))
    except ConfigError as error:  # it names the keys of main.py
        text = (
            str(error).replace("checkpoint_path=", "").replace("checkpoint_path: ", "").replace("load_step=", "--step ")
        )
        raise ConfigError(text) from None
    saved = overlay(default_values(), content["config"])  # of a key that is younger than the run, the default
    config = validate({**saved, "checkpoint_path": str(path), "evaluate": True, "load_step": 0, "use_cuda": False})
    mac = build(config).mac
    if not isinstance(mac, DAGMAC):
        raise ConfigError(
            f"{given} is a run of {saved['name']} with mac={saved['mac']}, whose agents send no messages.\n"
            "Give a run with mac=dag_controller, such as one of --config=bn_mappo."
        )
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    t_env = int(content["t_env"])
    name = f"{config.name} on {config.env}, DAG {mac.options.dag.generator.name}, seed {config.seed}, step {t_env:,}"
    return TrainedPolicy(name, folder, path, config, mac, t_env, min(t_env / config.t_max, 1.0))

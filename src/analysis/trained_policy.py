"""A recorded run, read back from its checkpoint with the configuration that it was trained with."""

from pathlib import Path
from typing import NamedTuple

from bn_mappo.config.schema import Config
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.errors import ConfigError
from bn_mappo.training.trained import load_run


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
        run = load_run(given, step)
    except ConfigError as error:  # it names the keys of training's command line
        text = (
            str(error).replace("checkpoint_path=", "").replace("checkpoint_path: ", "").replace("load_step=", "--step ")
        )
        raise ConfigError(text) from None
    config, mac = run.config, run.setup.mac
    if not isinstance(mac, DAGMAC):
        raise ConfigError(
            f"{given} is a run of {config.name} with mac={config.mac.name}, whose agents send no messages.\n"
            "Give a run with mac=dag_controller, such as one of --config=bn_mappo."
        )
    generator = mac.options.dag.generator.name
    guide = "" if mac.deployed is mac else "the guide of "  # the team that is deployed sends no messages
    name = f"{guide}{config.name} on {config.env}, DAG {generator}, seed {config.seed}, step {run.t_env:,}"
    checkpoint = Path(config.checkpoint_path)
    return TrainedPolicy(name, run.folder, checkpoint, config, mac, run.t_env, run.clock.fraction)

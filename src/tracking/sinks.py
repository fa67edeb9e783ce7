"""Places that show a run's metrics besides its files: Sacred's other observers, TensorBoard, Weights & Biases."""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bn_mappo.config.schema import Config
from bn_mappo.core.errors import ConfigError
from bn_mappo.tracking.metrics import Sink


class SacredScalars:
    """Hands rows to Sacred, for the observers that its flags (-F, -m) add."""

    def __init__(self, log_scalar: Callable[[str, float, int], Any]):
        self.log_scalar = log_scalar

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar a value."""
        for name, value in values.items():
            self.log_scalar(name, value, step)

    def close(self) -> None:
        """Nothing to do: Sacred's heartbeat takes the rest."""


class TensorBoard:
    """Event files in the run's folder: tensorboard --logdir results/sacred."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar a value."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is buffered."""
        self.writer.close()


class WeightsAndBiases:
    """A run of wandb, offline unless wandb_mode says otherwise: wandb sync FOLDER/wandb/offline-run-* later."""

    END_TIMEOUT_S = 10

    def __init__(self, folder: Path, config: Config):
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        self.run = wandb.init(
            project=config.wandb_project,
            entity=config.wandb_team or None,
            mode=config.wandb_mode,
            dir=str(folder),
            name="/".join(folder.parts[-3:]),
            config=config.values(),
            settings=wandb.Settings(console="off", init_timeout=30, finish_timeout=self.END_TIMEOUT_S),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One row, at its environment step."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """Write, or send, what is left."""
        self.run.finish()


PACKAGES = {"use_tensorboard": "tensorboard", "use_wandb": "wandb"}


def check_packages(config: Config) -> None:
    """ConfigError where a sink is asked for whose package is not installed."""
    for key, package in PACKAGES.items():
        if getattr(config, key) and importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"{key}=True: the package '{package}' is not installed.\n"
                f"Install it (python -m pip install {package}), or set {key}=False."
            )


def make_sinks(config: Config, folder: Path, log_scalar: Callable[[str, float, int], Any]) -> list[Sink]:
    """The sinks that the configuration asks for; one that cannot start is reported and left out."""
    sinks: list[Sink] = [SacredScalars(log_scalar)]
    if config.use_tensorboard:
        sinks.append(TensorBoard(folder))
    if config.use_wandb:
        try:
            sinks.append(WeightsAndBiases(folder, config))
        except Exception as error:  # noqa: BLE001  such as wandb_mode=online without a network or a key
            print(f"warning: wandb cannot start, the run goes on without it: {error}", file=sys.stderr)
    return sinks

"""One training run: play a segment, learn from it, and let callbacks log, show and save what came of it."""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bn_mappo.config.schema import Config
from bn_mappo.core.clock import Clock
from bn_mappo.core.errors import RunError
from bn_mappo.envs.vec_env import run_metrics
from bn_mappo.learners.learner import Statistics
from bn_mappo.tracking.metrics import MetricLog
from bn_mappo.training.build import Setup, start_collector
from bn_mappo.training.checkpoint import checkpoint_file, describe_difference, save_checkpoint
from bn_mappo.training.interrupts import Interrupt
from bn_mappo.training.progress import TrainingProgress
from bn_mappo.training.tester import Tester

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class RunResult(NamedTuple):
    """How a run ended."""

    t_env: int
    test: dict[str, float]  # the last evaluation
    signum: int | None  # the signal that interrupted it


class Callback:
    """Is called after every update of a run. A subclass overrides what it needs."""

    def on_update(self, trainer: "Trainer", row: dict[str, float]) -> None:
        """An update is done, at step trainer.clock.t_env; `row`: the metrics that were due, often none."""


class LogRows(Callback):
    """Writes each row of metrics to the run's log."""

    def on_update(self, trainer: "Trainer", row: dict[str, float]) -> None:
        if row:
            trainer.log.log(trainer.clock.t_env, row)


class SaveCheckpoints(Callback):
    """Writes a checkpoint every save_model_interval steps, and at the end."""

    def on_update(self, trainer: "Trainer", row: dict[str, float]) -> None:
        if trainer.config.save_model and trainer.clock.is_due(trainer.config.save_model_interval):
            trainer.save()


class ShowProgress(Callback):
    """Hands what a person follows to the progress display."""

    def __init__(self, display: TrainingProgress):
        self.display = display

    def on_update(self, trainer: "Trainer", row: dict[str, float]) -> None:
        self.display.update(trainer.clock.t_env, row)


class Trainer:
    """Trains one policy. Owns its games, its clock and its checkpoints."""

    def __init__(self, config: Config, setup: Setup, log: MetricLog, folder: Path, callbacks: Sequence[Callback] = ()):
        self.config, self.setup, self.log, self.folder = config, setup, log, folder
        self.callbacks = (LogRows(), *callbacks, SaveCheckpoints())
        self.clock = Clock(config.t_max)
        self.tester = Tester(config, setup.mac)
        self.collector = start_collector(config, setup)
        self.test: dict[str, float] = {}  # the last evaluation
        if setup.checkpoint is not None and setup.checkpoint_path is not None:
            self.resume(setup.checkpoint, setup.checkpoint_path)

    def run(self) -> RunResult:
        """Train to t_max, or until a signal."""
        with Interrupt() as interrupt, TrainingProgress(self.clock.t_env, self.config.t_max) as display:
            if self.clock.t_env == 0 and self.log.n_rows == 0:
                self.log.log(0, self.evaluate({}))
            while not self.clock.is_over and interrupt.signum is None:
                statistics = self.update()
                row = self.due_metrics(statistics)
                for callback in (*self.callbacks, ShowProgress(display)):
                    callback.on_update(self, row)
            if interrupt.signum is not None:
                self.save()
        return RunResult(self.clock.t_env, self.test, interrupt.signum)

    def update(self) -> Statistics:
        """One segment and one update; a failure saves the last good state, and never over a checkpoint."""
        learner, fraction = self.setup.learner, self.clock.fraction
        try:
            batch = self.collector.collect(fraction)
        except RunError:
            self.save(overwrite=False)
            raise
        good = learner.snapshot()
        self.clock.advance(batch.batch_size * batch.n_steps)
        try:
            return learner.train(batch, fraction, collect_stats=self.clock.is_due(self.config.log_interval))
        except RunError:
            learner.restore(good)
            self.save()
            raise

    def due_metrics(self, statistics: Statistics) -> dict[str, float]:
        """What is to be logged at this step."""
        row: dict[str, float] = {}
        if self.clock.is_due(self.config.log_interval):
            row = {name: float(value) for name, value in statistics.items()} | self.collector.stats.pop()
            row |= self.environment_metrics()
        if self.clock.is_due(self.config.test_interval):
            row = self.evaluate(row)
        return row

    def environment_metrics(self) -> dict[str, float]:
        """What a row of metrics holds about the games themselves."""
        return run_metrics(self.setup.info, self.collector.env.restarts() + self.tester.restarts())

    def evaluate(self, row: dict[str, float]) -> dict[str, float]:
        """The row with an evaluation of the present policy; where games fail too often, row and checkpoint are kept."""
        try:
            self.test = self.tester.metrics(self.clock)
        except RunError:
            if row:
                self.log.log(self.clock.t_env, row)
            self.save(overwrite=False)
            raise
        return {**row, **self.test, **self.environment_metrics()}

    def save(self, overwrite: bool = True) -> None:
        """Write a checkpoint of everything that a resumed run needs."""
        folder = self.folder / "checkpoints"
        if not overwrite and checkpoint_file(folder, self.clock.t_env).exists():
            return
        content = {
            "config": self.config.values(),
            "rules": self.setup.info.record.rules,
            "learner": self.setup.learner.state_dict(),
            "experience": self.setup.learner.experience(),
            "collector": self.collector.state_dict(),
            "generators": self.setup.generators.state_dict(),
            "n_rows": self.log.n_rows,
        }
        save_checkpoint(folder, self.clock.t_env, content)

    def resume(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Go on from a checkpoint; networks and optimiser have their state already (build)."""
        self.setup.generators.load_state_dict(checkpoint["generators"])
        if not self.collector.load_state_dict(checkpoint["collector"]):
            print(f"note: {self.config.env} cannot restore running games: they start anew, so this is not exact")
        if lacks := self.setup.learner.load_experience(checkpoint.get("experience", {})):
            print(f"note: {lacks}, so this is not exact")
        for difference in describe_difference(checkpoint["config"], self.config.values()):
            print(f"note: resumed with another {difference}")
        self.log.replay(path.parent.parent, int(checkpoint["n_rows"]))
        self.clock = Clock(self.config.t_max, int(checkpoint["t_env"]))

    def rescue(self, error: OSError) -> RunError:
        """The disk is full or gone: try to save a checkpoint all the same; returns what to tell."""
        step = f"{self.clock.t_env:,}"
        try:
            self.save(overwrite=False)
            outcome = f"The checkpoint of step {step} is saved."
        except OSError:
            outcome = f"No checkpoint of step {step} could be saved; the one before is whole."
        return RunError(f"the run cannot write its files: {error}. {outcome} Make room, then resume.")

    def close(self) -> None:
        """End all games."""
        self.collector.env.close()
        self.tester.close()


def train(config: Config, setup: Setup, log: MetricLog, folder: Path, callbacks: Sequence[Callback] = ()) -> RunResult:
    """One training run, whose games end with it."""
    trainer = Trainer(config, setup, log, folder, callbacks)
    try:
        return trainer.run()
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise trainer.rescue(error) from error
    finally:
        trainer.close()

"""One training run: play a segment, learn from it, and let callbacks log, show and save what came of it.

Where several processes train together (core/ranks.py), each has a trainer; rank 0 evaluates and keeps the record.
"""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bn_mappo.config.schema import Config
from bn_mappo.core import ranks
from bn_mappo.core.clock import Clock
from bn_mappo.core.errors import RunError
from bn_mappo.core.ranks import LostRankError
from bn_mappo.core.seeds import derive_seed
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
        if row and ranks.rank() == 0:
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
        show = TrainingProgress(self.clock.t_env, self.config.t_max, is_silent=ranks.rank() > 0)
        with Interrupt() as interrupt, show as display:
            if self.clock.t_env == 0 and self.log.n_rows == 0:
                self.log.log(0, self.evaluate({}))
            try:
                signum = interrupt.agreed()
                while not self.clock.is_over and signum is None:
                    statistics = self.update()
                    row = self.due_metrics(statistics)
                    for callback in (*self.callbacks, ShowProgress(display)):
                        callback.on_update(self, row)
                    signum = interrupt.agreed()
                if signum is not None:
                    self.save()
            except LostRankError:
                self.save_alone()
                raise
        return RunResult(self.clock.t_env, self.test, signum)

    def update(self) -> Statistics:
        """One segment and one update; a failure saves the last good state, and never over a checkpoint."""
        learner, fraction = self.setup.learner, self.clock.fraction
        try:
            batch = self.collector.collect(fraction)
        except RunError:
            self.save_alone()
            raise
        good = learner.snapshot()
        self.clock.advance(batch.batch_size * batch.n_steps * ranks.size())
        try:
            return learner.train(batch, fraction, collect_stats=self.clock.is_due(self.config.log_interval))
        except LostRankError:
            learner.restore(good)
            raise
        except RunError:  # in all ranks alike
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
        """The row with an evaluation of the present policy; where games fail too often, row and checkpoint are kept.

        Rank 0 evaluates.
        """
        if ranks.rank() > 0:
            return row
        try:
            self.test = self.tester.metrics(self.clock)
        except RunError:
            if row:
                self.log.log(self.clock.t_env, row)
            self.save_alone()
            raise
        return {**row, **self.test, **self.environment_metrics()}

    def save(self) -> None:
        """Write a checkpoint of everything that a resumed run needs; all ranks call this at the same step."""
        self.write(ranks.gather(self.own_state()))

    def save_alone(self) -> None:
        """The same where other ranks cannot be asked: those will start new games. Never over another checkpoint."""
        if not checkpoint_file(self.folder / "checkpoints", self.clock.t_env).exists():
            self.write([self.own_state()] if ranks.rank() == 0 else [])

    def own_state(self) -> dict[str, Any]:
        """What each rank has of its own."""
        return {
            "experience": self.setup.learner.experience(),
            "collector": self.collector.state_dict(),
            "generators": self.setup.generators.state_dict(),
        }

    def write(self, states: list[dict[str, Any]]) -> None:
        """Write a checkpoint with the states of the ranks; rank 0 has them."""
        if not states:
            return
        content = {
            "config": self.config.values(),
            "rules": self.setup.info.record.rules,
            "learner": self.setup.learner.state_dict(),
            **states[0],
            "n_rows": self.log.n_rows,
        }
        if ranks.size() > 1:
            content |= {"n_ranks": ranks.size(), "other_ranks": states[1:]}
        save_checkpoint(self.folder / "checkpoints", self.clock.t_env, content)

    def resume(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Go on from a checkpoint; networks and optimiser have their state already (build)."""
        states = [checkpoint, *checkpoint.get("other_ranks", [])]
        if len(states) < ranks.size() and ranks.rank() == 0:
            print("note: the checkpoint was written when a process had died; its games start anew: this is not exact")
        if ranks.rank() < len(states):
            state = states[ranks.rank()]
            self.setup.generators.load_state_dict(state["generators"])
            new_games = derive_seed(self.config.seed, "resumed", ranks.rank(), int(checkpoint["t_env"]))
            if not self.collector.load_state_dict(state["collector"], new_games):
                print(f"note: {self.config.env} cannot restore running games: they start anew, so this is not exact")
            if lacks := self.setup.learner.load_experience(state.get("experience", {})):
                print(f"note: {lacks}, so this is not exact")
        for difference in describe_difference(checkpoint["config"], self.config.values()):
            print(f"note: resumed with another {difference}")
        self.log.replay(path.parent.parent, int(checkpoint["n_rows"]))
        self.clock = Clock(self.config.t_max, int(checkpoint["t_env"]))

    def rescue(self, error: OSError) -> RunError:
        """The disk is full or gone: try to save a checkpoint all the same; returns what to tell."""
        step = f"{self.clock.t_env:,}"
        try:
            self.save_alone()
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

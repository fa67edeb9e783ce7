"""Where runs are executed: on this machine or on a cluster."""

from pathlib import Path
from typing import NamedTuple, Protocol

from bn_mappo.sweep.cells import Cell


class Machines(NamedTuple):
    """Where the runs of a grid are executed: on processes of this machine, or on a Ray cluster."""

    processes: int  # runs at a time on this machine
    cluster: str | None = None  # auto, local, or the address of a Ray cluster
    cpus_per_run: float = 1  # of the cluster
    gpus_per_run: float = 0


class Ended(NamedTuple):
    """A run that has ended, well or not."""

    cell: Cell
    was_lost: bool  # with its process or its machine, by no fault of its own


class Executor(Protocol):
    """Executes runs whose records lie under one folder of this machine."""

    @property
    def slots(self) -> int:
        """Runs at a time."""

    def start(self, cell: Cell, root: Path) -> None:
        """Start a run, or resume it from its latest checkpoint."""

    def ended(self, timeout_s: float) -> list[Ended]:
        """Those that have ended since the last call; waits for one until the time is over."""

    def cancel(self, cell: Cell) -> None:
        """Let one write a checkpoint and end."""

    def stop(self) -> None:
        """Let the running ones write a checkpoint and end."""

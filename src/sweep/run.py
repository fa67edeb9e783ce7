"""Runs all that is not done yet, with progress; goes on where it was interrupted."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from filelock import FileLock

from bn_mappo.core.progress import progress
from bn_mappo.sweep.cells import CELL_FILE, Cell, check_parts, check_settings
from bn_mappo.sweep.executor import Executor, Machines
from bn_mappo.sweep.local import LocalProcesses
from bn_mappo.sweep.lock import take
from bn_mappo.tracking.files import write_json

SECONDS_BETWEEN_LOOKS = 0.5
MOST_LOSSES = 5  # of one run, with its process or machine


def run_grid(cells: Sequence[Cell], root: Path, machines: Machines, retries: int = 0) -> list[Cell]:
    """Run what is not done yet on these machines; returns the cells that failed, after so many retries."""
    return run_cells(cells, root, lambda: make_executor(machines, root), retries)


def make_executor(machines: Machines, root: Path) -> Executor:
    """Of runs whose records lie under `root`; ConfigError where a cluster is asked for and Ray is not installed."""
    if machines.cluster is None:
        return LocalProcesses(machines.processes)
    from bn_mappo.sweep.cluster import RayCluster

    return RayCluster(machines.cluster, machines.cpus_per_run, machines.gpus_per_run, root, machines.processes)


def run_cells(cells: Sequence[Cell], root: Path, make_executor: Callable[[], Executor], retries: int = 0) -> list[Cell]:
    """Run what is not done yet; returns the cells that failed, after so many retries.

    A run that is lost with its process or machine goes on from its latest checkpoint, and does not use up a retry. Each
    cell's output is in its `log.txt`. Ended by Ctrl-C or an error, it lets the running cells write a checkpoint.
    ConfigError where another process is at work on one of the cells.
    """
    check_settings(cells, root)
    waiting = [cell for cell in cells if not cell.is_done(root)][::-1]
    if not waiting:
        return []
    check_parts(waiting)
    for cell in waiting:
        if cell.folder(root).exists():
            take(cell.folder(root)).release()
    executor, running = make_executor(), dict[Cell, FileLock]()
    gains, failed = Gains(waiting, root), list[Cell]()
    failures, losses = Counter[Cell](), Counter[Cell]()
    with progress(sum(cell.t_max - cell.steps_done(root) for cell in waiting)) as report:
        try:
            while waiting or running:
                while waiting and len(running) < executor.slots:
                    cell = waiting.pop()
                    running[cell] = take(cell.folder(root))
                    write_settings(cell, root)
                    executor.start(cell, root)
                for cell, was_lost in executor.ended(SECONDS_BETWEEN_LOOKS):
                    running.pop(cell).release()
                    if not cell.is_done(root):
                        (losses if was_lost else failures)[cell] += 1
                        has_another = failures[cell] <= retries and losses[cell] <= MOST_LOSSES
                        (waiting if has_another else failed).append(cell)
                gained = gains.since_last_look(set(running))
                shares = {cell.title: gains.known[cell] / cell.t_max for cell in running}
                report(gained, state(len(gains.known), waiting, running, failed), shares)
        finally:
            executor.stop()
            for lock in running.values():
                lock.release()
    return failed


def write_settings(cell: Cell, root: Path) -> None:
    """What the run is made with, beside its records."""
    folder = cell.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CELL_FILE, cell.settings())


class Gains:
    """Steps that runs have made, by their files."""

    def __init__(self, cells: Sequence[Cell], root: Path):
        self.root = root
        self.known = {cell: cell.steps_done(root) for cell in cells}
        self.before: set[Cell] = set()

    def since_last_look(self, running: set[Cell]) -> int:
        """Steps of all runs since the last call. Until it has ended, a run is not done."""
        gained = 0
        for cell in running | self.before:
            now = min(cell.steps_done(self.root), cell.t_max - (cell in running))
            gained += max(now - self.known[cell], 0)
            self.known[cell] = max(now, self.known[cell])
        self.before = set(running)
        return gained


def state(n_cells: int, waiting: Sequence[Cell], running: Collection[Cell], failed: Sequence[Cell]) -> str:
    """What is going on, in words."""
    done = n_cells - len(waiting) - len(running) - len(failed)
    trouble = f", {len(failed)} failed" if failed else ""
    return f"{done} of {n_cells} runs done{trouble}"

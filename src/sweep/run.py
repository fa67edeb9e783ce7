"""Runs all that is not done yet, with progress; goes on where it was interrupted."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from bn_mappo.core.progress import progress
from bn_mappo.sweep.cells import CELL_FILE, Cell, check_settings
from bn_mappo.sweep.local import LocalProcesses

SECONDS_BETWEEN_LOOKS = 0.5


class Executor(Protocol):
    """Where runs are executed."""

    slots: int  # runs at a time

    def start(self, cell: Cell, root: Path) -> None:
        """Start a run, or resume it."""

    def ended(self, timeout_s: float) -> list[Cell]:
        """Those that have ended since the last call."""

    def stop(self) -> None:
        """Let the running ones write a checkpoint and end."""


def run_grid(cells: Sequence[Cell], root: Path, processes: int) -> list[Cell]:
    """Run what is not done yet on this machine, so many at a time; returns the cells that failed."""
    return run_cells(cells, root, lambda: LocalProcesses(processes))


def run_cells(cells: Sequence[Cell], root: Path, make_executor: Callable[[], Executor], retries: int = 0) -> list[Cell]:
    """Run what is not done yet; returns the cells that failed, each of them so many times more than once.

    Each cell's output is in its `log.txt`. Ended by Ctrl-C or an error, it lets the running cells write a checkpoint.
    """
    check_settings(cells, root)
    waiting = [cell for cell in cells if not cell.is_done(root)][::-1]
    if not waiting:
        return []
    executor, running = make_executor(), set[Cell]()
    gains, failures = Gains(waiting, root), dict.fromkeys(waiting, 0)
    failed: list[Cell] = []
    with progress(sum(cell.t_max - cell.steps_done(root) for cell in waiting)) as report:
        try:
            while waiting or running:
                while waiting and len(running) < executor.slots:
                    cell = waiting.pop()
                    write_settings(cell, root)
                    executor.start(cell, root)
                    running.add(cell)
                for cell in executor.ended(SECONDS_BETWEEN_LOOKS):
                    running.remove(cell)
                    if not cell.is_done(root):
                        failures[cell] += 1
                        (waiting if failures[cell] <= retries else failed).append(cell)
                report(gains.since_last_look(running), state(len(failures), waiting, running, failed))
        finally:
            executor.stop()
    return failed


def write_settings(cell: Cell, root: Path) -> None:
    """What the run is made with, beside its records."""
    folder = cell.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CELL_FILE).write_text(json.dumps(cell.settings(), indent=2) + "\n")


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


def state(n_cells: int, waiting: Sequence[Cell], running: set[Cell], failed: Sequence[Cell]) -> str:
    """What is going on, in words."""
    done = n_cells - len(waiting) - len(running) - len(failed)
    names = ", ".join(sorted(cell.title for cell in running)) or "none"
    trouble = f", {len(failed)} failed" if failed else ""
    return f"{done} of {n_cells} runs done{trouble}, running: {names}"

"""Runs on this machine, each in a process of its own that is forked from one which has imported everything."""

import multiprocessing
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from bn_mappo.core.threads import single_threaded, usable_cores
from bn_mappo.sweep.cells import LOG_FILE, Cell
from bn_mappo.sweep.executor import Ended
from bn_mappo.sweep.worker import PRELOADED, run_words


class LocalProcesses:
    """So many runs at a time, each on one thread. A run that crashes, or is killed, takes no other with it."""

    def __init__(self, slots: int):
        self.slots = slots
        self.running: dict[Cell, BaseProcess] = {}
        single_threaded()  # the fork server, and so the runs, have this environment
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["__main__", *PRELOADED])

    def start(self, cell: Cell, root: Path) -> None:
        """Start or resume a run; its output is appended to `log.txt` in its folder."""
        target = (cell.words(root), cell.folder(root) / LOG_FILE, max(usable_cores() // self.slots, 1))
        process = self.context.Process(target=run_words, args=target, name=cell.title)
        process.start()
        self.running[cell] = process

    def ended(self, timeout_s: float) -> list[Ended]:
        """The runs that have ended since the last call; waits for one until the time is over."""
        done = wait([process.sentinel for process in self.running.values()], timeout_s)
        found = []
        for cell, process in list(self.running.items()):
            if process.sentinel in done:
                process.join()
                found.append(Ended(cell, was_lost=(process.exitcode or 0) < 0))  # ended by a signal
                del self.running[cell]
        return found

    def cancel(self, cell: Cell) -> None:
        """Let one write a checkpoint and end."""
        self.running[cell].terminate()

    def stop(self) -> None:
        """Let all runs write a checkpoint and end."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.join()
        self.running.clear()

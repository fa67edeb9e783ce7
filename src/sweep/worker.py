"""One command line of `bn-mappo`, run in this process with its output in a file."""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from bn_mappo.core.threads import CORES_VARIABLE

MAIN = Path(__file__).resolve().parents[1] / "main.py"
COMMAND = "bn_mappo.cli.entry"  # by its name, as a new process would be told: command lines lie above sweeps
# what takes seconds to import; torch's optimisers import its compiler
PRELOADED = (COMMAND, "bn_mappo.cli.experiment", "bn_mappo.analysis.report", "torch._dynamo")


def run_words(words: Sequence[str], log: Path, n_cores: int) -> None:
    """Ends the process with the command's exit status; what it writes is appended to `log`.

    `n_cores` are what it may keep busy: with more, worker processes of its games would be in the other runs' way.
    A terminal's Ctrl-C goes to the process that started the runs, which then ends them, each by one signal. Where that
    process has died, they write a checkpoint and end as well.
    """
    os.setpgrp()
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ[CORES_VARIABLE] = str(n_cores)
    sys.exit(status_of_words(words, log))


def end_with_parent() -> None:
    """Wait for the end of the process that started this one, then end this one with a checkpoint."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a run is started by another process"
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def status_of_words(words: Sequence[str], log: Path) -> int:
    """The command's exit status; from now on, what this process writes is appended to `log`."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = [str(MAIN), *words]
    try:
        return int(importlib.import_module(COMMAND).main(words))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)

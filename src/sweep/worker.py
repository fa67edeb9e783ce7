"""One command line of `bn-mappo`, run in this process with its output in a file."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

MAIN = Path(__file__).resolve().parents[1] / "main.py"
COMMAND = "bn_mappo.cli.entry"  # by its name, as a new process would be told: command lines lie above sweeps
# what takes seconds to import; torch's optimisers import its compiler
PRELOADED = (COMMAND, "bn_mappo.cli.experiment", "bn_mappo.analysis.report", "torch._dynamo")


def run_words(words: Sequence[str], log: Path) -> None:
    """Ends the process with the command's exit status; what it writes is appended to `log`."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = [str(MAIN), *words]
    sys.exit(importlib.import_module(COMMAND).main(words))

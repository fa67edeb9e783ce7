"""A run in the database while it goes on: a thread that follows the run's files. The run never waits for it."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sacred.observers import RunObserver

from bn_mappo.config.schema import Config
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.program import program
from bn_mappo.core.secrets import mask, reveal
from bn_mappo.tracking.metrics import METRICS_FILE, iterate_rows
from bn_mappo.tracking.mongo import DatabaseEntry, SupersededError, ask, open_database, reason
from bn_mappo.tracking.run_folder import RunFolder

INTERVAL_S = 5.0  # between two rounds
END_TIMEOUT_S = 8.0  # by which a database that does not answer can delay the end of a run


class Mirror(RunObserver):
    """Brings the database level with the run's folder every few seconds, and once more at the end.

    Keeps no queue: what could not be sent is in the files, and the next round, or sync.py, sends it.
    """

    priority = 5  # below RunFolder's: of every event the files know first

    def __init__(self, url: str, run_folder: RunFolder, answers: bool = True):
        self.url, self.run_folder = url, run_folder
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._entry: DatabaseEntry | None = None
        self._is_level, self._has_warned = False, not answers  # the user is warned once

    def started_event(self, *args: Any, **kwargs: Any) -> None:
        """Start to follow the folder."""
        self._thread = threading.Thread(target=self._follow, name="mongo-mirror", daemon=True)
        self._thread.start()

    def completed_event(self, *args: Any, **kwargs: Any) -> None:
        """Send the rest."""
        self._finish()

    interrupted_event = failed_event = completed_event

    def _follow(self) -> None:
        self._entry = DatabaseEntry(open_database(self.url), self.run_folder.path)
        is_last = False
        while not is_last:
            is_last = self._ended.wait(INTERVAL_S)  # what is done after the end counts as the last round
            self._round()

    def _round(self) -> None:
        assert self._entry is not None
        try:
            self._entry.level()
        except SupersededError:
            self._is_level = True
        except Exception as error:  # noqa: BLE001  whatever the database does, the run goes on
            self._is_level = False
            self._entry.forget()
            if not self._has_warned:
                self._tell(f"warning: MongoDB: {reason(error)}. The run goes on; what is not sent is in its files.")
            self._has_warned = True
        else:
            if self._has_warned:
                self._tell("note: MongoDB is level with the files again")
            self._is_level, self._has_warned = True, False

    def _finish(self) -> None:
        if self._thread is None:
            return
        self._is_level = False  # of the last round alone
        self._ended.set()
        self._thread.join(END_TIMEOUT_S)
        if not self._is_level or self._thread.is_alive():
            self._tell(unsent(self.run_folder.path, self._entry))

    @staticmethod
    def _tell(message: str) -> None:
        print(mask(message), file=sys.stderr)


def unsent(folder: Path, entry: DatabaseEntry | None) -> str:
    """How much of a run the database lacks, and what to do about it."""
    n_rows = sum(1 for _ in iterate_rows(folder / METRICS_FILE))
    n_sent = entry.n_rows if entry else 0
    return (
        f"warning: MongoDB lacks {n_rows - n_sent} of {n_rows} rows of metrics, and how the run ended.\n"
        f"Bring it level with: {program('sync')} {folder}"
    )


def preflight(config: Config, url: str) -> bool:
    """Ask the database once, for at most 3 s; whether it answers. ConfigError if it does not and mongo_required."""
    begin = time.monotonic()
    problem = ask(open_database(url))
    if problem is None:
        return True
    message = f"MongoDB at {mask(url)} does not answer ({problem}; asked for {time.monotonic() - begin:.1f} s)."
    if config.mongo_required:
        raise ConfigError(
            f"{message}\nStart it, correct mongo_url, or set mongo_required=False to go on with files alone."
        )
    print(f"warning: {message} The run is recorded in files, and mirrored when it answers.", file=sys.stderr)
    return False


def address(config: Config) -> str:
    """The address with its password: of the configuration, else of the variable MONGO_URL; empty for no database."""
    return reveal(config.mongo_url) or os.environ.get("MONGO_URL", "")

"""A run's folder as Sacred's file storage: strict JSON, whole or not at all, and locked while the run lives."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sacred.observers import FileStorageObserver

from bn_mappo.tracking.files import LOCK_FILE, write_json, write_sacred_metrics


class RunFolder(FileStorageObserver):
    """Sacred's file storage, always on, in a numbered folder that no other run has.

    Metrics stand in metrics.jsonl (see `MetricLog`); Sacred's metrics.json is written once, when the run ends.
    """

    continues: str | None = None  # the key (`run_key`) of the run that this one resumes
    settled: dict[str, Any] | None = None  # the configuration that is run, where Sacred's leaves something open
    _lock: FileLock | None = None

    @property
    def path(self) -> Path:
        """The folder; there from `started_event` on."""
        return Path(str(self.dir))

    def _make_dir(self, _id: int) -> None:
        super()._make_dir(_id)  # mkdir: of two runs that want one number, one gets FileExistsError and takes the next
        try:
            self._lock = FileLock(self.path / LOCK_FILE, timeout=0, thread_local=False)
            self._lock.acquire()
        except (OSError, NotImplementedError, Timeout):  # a file system without locks: its heartbeat tells instead
            self._lock = None
            (self.path / LOCK_FILE).unlink(missing_ok=True)

    def started_event(self, *args: Any, **kwargs: Any) -> Any:
        """Make the folder, under a number of its own whatever other observers call the run."""
        if self.settled is not None:
            kwargs["config"] = self.settled
        number = super().started_event(*args, **{**kwargs, "_id": None})
        if self.continues:
            self.run_entry = {**(self.run_entry or {}), "continues": self.continues}
            self.save_json(self.run_entry, "run.json")
        return number

    def save_json(self, obj: Any, filename: str) -> None:
        """Strict JSON, never half a file."""
        write_json(self.path / filename, obj)

    def log_metrics(self, metrics_by_name: Any, info: Any) -> None:
        """Leave it to `MetricLog`: Sacred rewrites all metrics every ten seconds."""

    def heartbeat_event(self, *args: Any, **kwargs: Any) -> None:
        """The training loop meets and reports a full disk; Sacred would switch this observer off."""
        with suppress(OSError):  # it is tried again in ten seconds
            super().heartbeat_event(*args, **kwargs)

    def completed_event(self, *args: Any, **kwargs: Any) -> None:
        """The run has ended as it should."""
        self._end(super().completed_event, *args, **kwargs)

    def interrupted_event(self, *args: Any, **kwargs: Any) -> None:
        """The run was stopped by a signal."""
        self._end(super().interrupted_event, *args, **kwargs)

    def failed_event(self, *args: Any, **kwargs: Any) -> None:
        """The run has failed; without a folder there is nothing to write."""
        if self.run_entry is not None:
            self._end(super().failed_event, *args, **kwargs)

    def _end(self, event: Any, *args: Any, **kwargs: Any) -> None:
        try:
            write_sacred_metrics(self.path)
            event(*args, **kwargs)
        except OSError as error:
            print(f"warning: the end of the run could not be recorded in {self.path}: {error}", file=sys.stderr)

    def join(self) -> None:
        """Called by Sacred when all observers have recorded the end: the run is no longer alive."""
        if self._lock is not None:
            self._lock.release()

"""Where the numbers of a run go: a file of rows, which is the truth, and sinks that show them elsewhere."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

METRICS_FILE = "metrics.jsonl"
Row = dict[str, Any]


class Sink(Protocol):
    """A second place for metrics; what it raises costs this place alone, never the run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take the values of one row, all finite."""

    def close(self) -> None:
        """Bring everything to where it belongs; called once, however the run ends."""


class MetricLog:
    """Rows {"step": t_env, "time": seconds since 1970, name: value, ...}, one a line, on disk once they are logged.

    Owns the file that a resumed run, the list of runs and the database mirror read; hands each row on to the sinks.
    """

    def __init__(self, folder: Path, sinks: Sequence[Sink] = ()):
        self.path, self.sinks = folder / METRICS_FILE, list(sinks)
        self.n_rows = 0

    def log(self, step: int, values: Mapping[str, float], time_s: float | None = None) -> None:
        """Write one row; a value that is not finite becomes null, for strict JSON has no NaN. A full disk: OSError."""
        numbers = {name: float(value) for name, value in values.items()}
        finite = {name: x for name, x in numbers.items() if math.isfinite(x)}
        row = {"step": int(step), "time": round(time_s or time.time(), 3), **dict.fromkeys(numbers), **finite}
        with self.path.open("a") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
        self.n_rows += 1
        for sink in list(self.sinks):
            self._call(sink, sink.log, int(step), finite)

    def _call(self, sink: Sink, method: Any, *arguments: Any) -> None:
        try:
            method(*arguments)
        except Exception as error:  # noqa: BLE001  a display must not cost the run
            self.sinks.remove(sink)
            print(f"warning: {type(sink).__name__} has failed and is left out: {error!r}", file=sys.stderr)

    def replay(self, source: Path, n_rows: int) -> None:
        """Begin with the first n_rows of another run's file: what it had logged when its checkpoint was written."""
        for row in read_rows(source)[:n_rows]:
            step, time_s = int(row.pop("step")), row.pop("time", None)
            self.log(step, {name: math.nan if value is None else value for name, value in row.items()}, time_s)

    def close(self) -> None:
        """Close the sinks."""
        for sink in list(self.sinks):
            self._call(sink, sink.close)


def read_rows(folder: Path) -> list[Row]:
    """All whole rows of a run's folder; the half row that a killed run may leave is dropped."""
    return list(iterate_rows(folder / METRICS_FILE))


def has_rows(folder: Path) -> bool:
    """Whether a run has logged anything."""
    return any(True for _ in iterate_rows(folder / METRICS_FILE))


def iterate_rows(path: Path, offset: int = 0) -> Iterator[Row]:
    """The whole rows of a file from a position (bytes) on; none if there is no file. A broken row: ValueError."""
    for row, _ in rows_with_positions(path, offset):
        yield row


def rows_with_positions(path: Path, offset: int = 0) -> Iterator[tuple[Row, int]]:
    """Whole rows, each with the position (bytes) behind it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path.name} has a broken row at byte {offset}: {error}") from None
            offset += len(line)
            yield row, offset


def read_metrics(folder: Path) -> list[Row]:
    """As `read_rows`, without the times: what two runs of the same seed have in common."""
    return [{name: value for name, value in row.items() if name != "time"} for row in read_rows(folder)]


def series(rows: list[Row], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one metric."""
    pairs = [(int(row["step"]), float(row[name])) for row in rows if row.get(name) is not None]
    return [step for step, _ in pairs], [value for _, value in pairs]

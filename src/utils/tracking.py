"""Where the numbers of a run go: an append-only file of rows, and Sacred."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.jsonl"
LogScalar = Callable[[str, float, int], Any]


class MetricLog:
    """Rows {"step": t_env, name: value, ...}, one a line, on disk as soon as they are logged.

    Mirrors each value to `log_scalar` (Sacred's). The file is what a resumed run reads back.
    """

    def __init__(self, folder: Path, log_scalar: LogScalar | None = None):
        self.path, self.log_scalar = folder / METRICS_FILE, log_scalar
        self.n_rows = 0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row; a value that is not finite becomes null, for strict JSON has no NaN."""
        numbers = {name: float(value) for name, value in values.items()}
        row = {"step": step, **{name: x if math.isfinite(x) else None for name, x in numbers.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.n_rows += 1
        if self.log_scalar is not None:
            for name, value in numbers.items():
                if math.isfinite(value):  # Sacred writes NaN bare
                    self.log_scalar(name, value, step)

    def replay(self, source: Path, n_rows: int) -> None:
        """Begin with the first n_rows of another run's file: what it had logged when its checkpoint was written."""
        for row in read_metrics(source)[:n_rows]:
            step = int(row.pop("step"))
            self.log(step, {name: math.nan if value is None else value for name, value in row.items()})


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All whole rows of a run's folder; the half row that a killed run may leave is dropped."""
    path = folder / METRICS_FILE
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def series(rows: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one metric."""
    pairs = [(int(row["step"]), float(row[name])) for row in rows if row.get(name) is not None]
    return [step for step, _ in pairs], [value for _, value in pairs]

"""The files of a run's folder: read, written whole, and asked whether their run is alive. Needs no Sacred."""

import json
import math
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from bn_mappo.core.files import write_whole
from bn_mappo.tracking.metrics import METRICS_FILE, iterate_rows

LOCK_FILE = "run.lock"
DEAD_AFTER_S = 120.0  # without a heartbeat (every 10 s), where the file system has no locks
DIED = "DIED"  # the status of a run whose process ended without saying so


def plain(value: Any) -> Any:
    """What JSON can hold: NumPy and times become plain, and a number that is not finite null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)


def write_json(path: Path, content: Any) -> None:
    """Strict JSON, as a whole or not at all; a full disk leaves the old file, and raises OSError."""
    write_whole(path, (json.dumps(plain(content), sort_keys=True, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file; ValueError names a file that holds none."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return content


def write_sacred_metrics(folder: Path) -> None:
    """metrics.json as Sacred's readers know it: {name: {steps, values, timestamps}}."""
    metrics: dict[str, dict[str, list[Any]]] = defaultdict(lambda: {"steps": [], "values": [], "timestamps": []})
    for row in iterate_rows(folder / METRICS_FILE):
        step, stamp = row.pop("step"), utc(row.pop("time", 0.0)).isoformat()
        for name, value in row.items():
            if value is not None:
                for key, item in (("steps", step), ("values", value), ("timestamps", stamp)):
                    metrics[name][key].append(item)
    if metrics:
        write_json(folder / "metrics.json", metrics)


def utc(seconds: float) -> datetime:
    """Seconds since 1970 as Sacred writes times: UTC, without saying so."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def is_alive(folder: Path, run: dict[str, Any]) -> bool:
    """Whether the process of a RUNNING run lives: it holds the lock; without locks, its heart has beaten lately."""
    lock = folder / LOCK_FILE
    if lock.exists():
        try:
            with FileLock(lock, timeout=0):
                return False
        except Timeout:
            return True
        except (OSError, NotImplementedError):
            pass  # a file system without locks, or a folder of somebody else's: the heartbeat tells
    beat = datetime.fromisoformat(run.get("heartbeat") or run["start_time"])
    return (utc(datetime.now(UTC).timestamp()) - beat).total_seconds() < DEAD_AFTER_S


def run_key(folder: Path, run: dict[str, Any]) -> str:
    """What one run is called in every database: host, configuration, environment, number and time of start."""
    return f"{run['host']['hostname']} {'/'.join(folder.resolve().parts[-3:])} {run['start_time']}"


def resumed_key(checkpoint: Path) -> str | None:
    """The key of the run that a checkpoint belongs to; None where that run is unknown, or still going on by itself."""
    folder = checkpoint.resolve().parent.parent
    try:
        run = read_json(folder / "run.json")
        alive = run["status"] == "RUNNING" and is_alive(folder, run)
        return None if alive else run_key(folder, run)
    except (OSError, ValueError, KeyError):
        return None


def mark_if_dead(folder: Path) -> bool:
    """Write the status DIED into the folder of a RUNNING run whose process is gone; whether it did."""
    run = read_json(folder / "run.json")
    if run.get("status") != "RUNNING" or is_alive(folder, run):
        return False
    write_sacred_metrics(folder)
    write_json(folder / "run.json", {**run, "status": DIED, "stop_time": run.get("heartbeat") or run["start_time"]})
    return True

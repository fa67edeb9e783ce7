"""Recorded runs: found and read from their files alone. A broken folder is reported and never stops the others."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bn_mappo.core.errors import ConfigError, nearest
from bn_mappo.core.nested import flatten
from bn_mappo.core.program import program
from bn_mappo.tracking.files import DIED, is_alive, read_json, run_key
from bn_mappo.tracking.metrics import METRICS_FILE, read_metrics

TAIL_BYTES = 16_384  # of metrics.jsonl, in which the last value of every metric usually stands
UNREADABLE = "UNREADABLE"
BOOKKEEPING = (  # keys that do not change what is learned
    *("seed", "checkpoint_path", "load_step", "local_results_path", "torch_threads", "report", "plugins"),
    *("evaluate", "test_nepisode", "test_interval", "log_interval"),
)
BOOKKEEPING_PREFIXES = ("mongo_", "wandb_", "use_", "save_")


@dataclass
class RecordedRun:
    """One run's folder, read; `problem` says why where it cannot be."""

    folder: Path
    run: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)  # flat: 'dag.generator' is one key
    status: str = UNREADABLE
    problem: str = ""

    @property
    def name(self) -> str:
        """ALG/ENV/NUMBER."""
        return short_name(self.folder)

    @property
    def started(self) -> str:
        """Time of start, UTC, to the minute."""
        return str(self.run.get("start_time", ""))[:16].replace("T", " ")

    @property
    def key(self) -> str:
        """What the run is called in databases."""
        return run_key(self.folder, self.run)

    def last_values(self, names: list[str]) -> dict[str, float]:
        """The last value of metrics, and 'step', the last step that was logged; broken rows are passed over."""
        path = self.folder / METRICS_FILE
        if not path.exists():
            return {}
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - TAIL_BYTES))
            values = _last_values(file.read(), names)
            if size > TAIL_BYTES and not set(names) <= values.keys():
                file.seek(0)
                values = _last_values(file.read(), names)
        return values


def _last_values(text: bytes, names: list[str]) -> dict[str, float]:
    """From the last row backwards; rows without any of the wanted names are not even parsed."""
    values: dict[str, float] = {}
    wanted = {name: f'"{name}"'.encode() for name in ("step", *names)}
    wanted = {name: quoted for name, quoted in wanted.items() if quoted in text}
    for line in reversed(text.splitlines(keepends=True)):
        if not wanted:
            break
        if not line.endswith(b"\n") or not any(quoted in line for quoted in wanted.values()):
            continue
        for name, value in _row(line).items():
            if name in wanted and isinstance(value, (int, float)):
                values[name] = value
                del wanted[name]
    return values


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def short_name(folder: Path) -> str:
    """ALG/ENV/NUMBER of a folder."""
    return "/".join(folder.parts[-3:])


def read_run(folder: Path) -> RecordedRun:
    """A run's folder; never an error."""
    recorded = RecordedRun(folder)
    try:
        run = read_json(folder / "run.json")
        recorded.config = flatten(read_json(folder / "config.json"))
        status = str(run["status"])
        recorded.status = DIED if status == "RUNNING" and not is_alive(folder, run) else status
        recorded.run = run
        recorded.key  # noqa: B018  a folder without host or start is none of ours
    except (OSError, ValueError, KeyError, TypeError) as error:
        recorded.status, recorded.problem = UNREADABLE, f"{type(error).__name__}: {error}"
    return recorded


def find_runs(results: Path, names: list[str]) -> list[Path]:
    """The folders of runs: all below results/sacred, or those named (a path, or ALG/ENV/NUMBER), by number."""
    root = results / "sacred"
    everything = sorted(
        (path for path in root.glob("*/*/*") if path.name.isdigit()),
        key=lambda path: (path.parts[:-1], int(path.name)),
    )
    if not names:
        return everything
    found: list[Path] = []
    for name in names:
        choices = [path for path in (Path(name), root / name) if path.is_dir()]
        if not choices:
            hint = nearest(name, [short_name(path) for path in everything])
            raise ConfigError(f"there is no run '{name}' here or in {root}.{hint}\nSee: {program('runs')} list")
        inside = [path for path in everything if choices[0].resolve() in path.resolve().parents]
        found += inside or [choices[0]]
    return list(dict.fromkeys(found))


def group_key(run: RecordedRun) -> tuple[tuple[str, str], ...]:
    """What runs that differ in their seed alone have in common."""
    return tuple(
        (key, json.dumps(value))
        for key, value in sorted(run.config.items())
        if key not in BOOKKEEPING and not key.startswith(BOOKKEEPING_PREFIXES)
    )


def without_continued(runs: list[RecordedRun]) -> tuple[list[RecordedRun], list[RecordedRun]]:
    """The runs that nothing among them continues, and those that a resumed run (which repeats their rows) continues."""
    continued = {run.run.get("continues") for run in runs} - {None}
    keys = [run.key if "host" in run.run else None for run in runs]  # the library's runs have no run.json
    rest = [run for run, key in zip(runs, keys, strict=True) if key not in continued]
    return rest, [run for run, key in zip(runs, keys, strict=True) if key in continued]


def read_metrics_safely(run: RecordedRun) -> list[dict[str, Any]]:
    """All rows of a run; none where its file is broken."""
    try:
        return read_metrics(run.folder)
    except ValueError as error:
        print(f"warning: {run.folder / METRICS_FILE} is broken: {error}", file=sys.stderr)
        return []

"""One run of a sweep: its settings, its command line, and what is recorded of it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from sacred.arg_parser import get_config_updates

from bn_mappo.config.loading import check_keys, default_values, load_layers, load_preset, merge, overlay
from bn_mappo.config.schema import validate
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.nested import differences, flatten
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.envs.registry import describe, env_layer, fill_env_args
from bn_mappo.tracking.files import read_json
from bn_mappo.tracking.metrics import has_rows, read_metrics
from bn_mappo.training.build import make_parts
from bn_mappo.training.checkpoint import checkpoints

CELL_FILE, LOG_FILE = "settings.json", "log.txt"
ERROR = re.compile(r"error: |\w+(Error|Exception): ")  # how the line of a log begins that says why a run failed
LONGEST_LINE = 300  # characters that are repeated of it
RESERVED = {  # keys that say which run of the grid it is and where it is recorded, and what to give instead
    "seed": "--seeds and --first-seed",
    "t_max": "--t-max, or t_max in the file",
    "local_results_path": "--output",
    **dict.fromkeys(("checkpoint_path", "load_step"), "the same command again, which resumes"),
    **dict.fromkeys(
        ("evaluate", "save_replay", "save_steps"), "an evaluation of a finished run by its checkpoint_path"
    ),
    "report": "bn-mappo report",
}


@dataclass(frozen=True)
class Cell:
    """One run of a grid: one variant, one seed."""

    variant: str
    seed: int
    config: str  # of src/config/algs
    env_config: str  # of src/config/envs
    t_max: int  # environment steps
    overrides: tuple[str, ...] = ()  # KEY=VALUE
    preset: str | None = None  # of src/config/presets
    place: str = ""  # folder below the root of the grid, where the grid has several environments
    plugins: tuple[str, ...] = ()  # modules, or Python files, to import first

    @property
    def title(self) -> str:
        """Place, variant and seed in words."""
        return f"{self.place} {self.variant} {self.seed}".strip()

    def folder(self, root: Path) -> Path:
        """Where its runs are recorded."""
        return root / self.place / self.variant / f"seed_{self.seed}"

    def run_folders(self, root: Path) -> list[Path]:
        """The recorded runs of this cell that have logged anything; a later one resumes the one before."""
        storage = self.folder(root) / "sacred" / self.config
        with readable(self.folder(root)):
            runs = [path for path in storage.glob("*/*") if path.name.isdigit() and has_rows(path)]
        return sorted(runs, key=lambda path: int(path.name))

    def run_folder(self, root: Path) -> Path | None:
        """The latest of them."""
        return next(reversed(self.run_folders(root)), None)

    def checkpoints(self, root: Path) -> dict[int, Path]:
        """Its checkpoints by environment steps, from the first to the last."""
        files: dict[int, Path] = {}
        for folder in self.run_folders(root):
            files |= checkpoints(folder)
        return dict(sorted(files.items()))

    def last_words(self, root: Path) -> str:
        """The last error that its runs have written, or else the last line."""
        log = self.folder(root) / LOG_FILE
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        written = [line.strip() for line in lines if line.strip()] or ["nothing was written"]
        return next((line for line in reversed(written) if ERROR.match(line)), written[-1])[:LONGEST_LINE]

    def rows(self, root: Path) -> list[dict[str, Any]]:
        """All that its latest run has logged."""
        folder = self.run_folder(root)
        if folder is None:
            return []
        with readable(self.folder(root)):
            return read_metrics(folder)

    def steps_done(self, root: Path) -> int:
        """Environment steps of its latest run that are logged."""
        rows = self.rows(root)
        return min(int(rows[-1]["step"]), self.t_max) if rows else 0

    def is_done(self, root: Path) -> bool:
        """Whether it ran to its end: the last evaluation is written with the last step."""
        return self.steps_done(root) >= self.t_max

    def settings(self) -> dict[str, Any]:
        """Every setting of the run but where it is recorded; ConfigError where one is wrong."""
        return {**deepcopy(_settings_without_seed(replace(self, seed=0))), "seed": self.seed}

    def own_words(self) -> list[str]:
        """KEY=VALUE that no settings can change (RESERVED)."""
        return [f"seed={self.seed}", f"t_max={self.t_max}"]

    def words(self, root: Path) -> list[str]:
        """The command line's words that start it, or resume it from its latest checkpoint.

        The latest run may have none: one that was resumed and ended again before its first.
        """
        saved = [folder for folder in self.run_folders(root) if checkpoints(folder)]
        resumed = [f"checkpoint_path={saved[-1]}"] if saved else []
        fixed = [*self.own_words(), f"local_results_path={self.folder(root)}", "report=False"]
        flags = [f"--config={self.config}", f"--env-config={self.env_config}", *(f"--import={p}" for p in self.plugins)]
        preset = [self.preset] if self.preset else []
        return [*flags, "with", *preset, *self.overrides, *fixed, *resumed]


@lru_cache(maxsize=1024)
def _settings_without_seed(cell: Cell) -> dict[str, Any]:
    """The settings of a cell of seed 0: runs that differ in their seed alone share the work."""
    for key in get_config_updates(cell.overrides)[0]:
        if key in RESERVED:
            raise ConfigError(f"{key} is no setting of a run among many. Use {RESERVED[key]}")
    given, _ = get_config_updates([*cell.overrides, *cell.own_words()])  # as the run itself will read them
    check_keys(given, default_values(), f"settings of {cell.variant}")
    layers = {**load_layers(cell.config, cell.env_config, env_layer(cell.env_config)), "plugins": list(cell.plugins)}
    preset = load_preset(cell.preset, cell.env_config, layers, given) if cell.preset else {}
    values = overlay(merge(layers, preset), given)
    values["env_args"] = fill_env_args(values["env"], values["env_args"])
    settled = settle(values).values
    validate(settled)
    return settled


def check_parts(cells: Iterable[Cell]) -> None:
    """ConfigError where an environment cannot be made here, or networks and learner do not go with it.

    Networks are made on the CPU: runs of a cluster may have a GPU that this machine has not.
    """
    for cell in {replace(cell, seed=0): cell for cell in cells}.values():
        try:
            make_parts(validate(cell.settings()), torch.device("cpu"))
        except ConfigError as error:
            raise ConfigError(f"{Path(cell.place, cell.variant)}: {error}") from None


def check_settings(cells: Sequence[Cell], root: Path) -> None:
    """ConfigError where a setting is wrong, or a cell's folder holds a run made with others: they must not be mixed.

    A key that is younger than the run has had its default, as wherever a recorded run is read.
    """
    defaults = flatten(default_values())
    for cell in cells:
        path, now = cell.folder(root) / CELL_FILE, flatten(cell.settings())
        with readable(cell.folder(root)):
            before = flatten(read_json(path)) if path.exists() else now
        before = {key: defaults[key] for key in now.keys() - before.keys() if key in defaults} | before
        changed = ", ".join(f"{key}: {old} -> {new}" for key, (old, new) in differences(before, now).items())
        if changed:
            raise ConfigError(
                f"{cell.folder(root)} holds a run made with other settings ({changed}). "
                "Give another --output, or delete that folder"
            )
        check_rules(cell, root)


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Context in which files of a cell's folder are read; ConfigError where one of them is broken."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"a file in {folder} cannot be read: {error}. Delete that folder to train this run anew"
        ) from None


def check_rules(cell: Cell, root: Path) -> None:
    """ConfigError where a cell's run was played by other rules than those that its environment follows now."""
    folder = cell.run_folder(root)
    if folder is None:
        return
    settings, info = cell.settings(), folder / "info.json"
    with readable(cell.folder(root)):
        recorded = read_json(info).get("environment", {}) if info.exists() else {}
    there, here = recorded.get("rules"), describe(settings["env"], settings["env_args"]).get("rules")
    if there != here:
        raise ConfigError(
            f"{folder} was played by the rules {there or 'before 2'} of {settings['env']}, which has the rules {here} "
            "now. Give another --output, or delete that folder"
        )

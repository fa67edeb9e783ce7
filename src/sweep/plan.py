"""What a sweep runs: from a YAML file, from the command line, or from both."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bn_mappo.config.explain import explain_file
from bn_mappo.config.reading import load_yaml
from bn_mappo.core.errors import ConfigError
from bn_mappo.sweep.cells import Cell


class Section(BaseModel):
    """A section of a sweep's file; a key that is none is an error."""

    model_config = ConfigDict(extra="forbid")


class Range(Section):
    """Where a setting is searched: between two bounds, or among choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False  # uniform in the logarithm
    integer: bool = False
    choices: list[Any] | None = None

    @model_validator(mode="after")
    def check(self) -> "Range":
        """Either form, and only one."""
        has_bounds = self.low is not None and self.high is not None
        if has_bounds == (self.choices is not None) or (self.low is None) != (self.high is None):
            raise ValueError("give either low and high, or choices")
        if self.choices == []:
            raise ValueError("choices needs at least one")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.log and (self.low is None or self.low <= 0):
            raise ValueError("a logarithmic range needs bounds above 0")
        return self


class SearchFile(Section):
    """A search by Optuna."""

    method: Literal["optuna"] = "optuna"
    n_trials: int = Field(ge=1)
    sampler: Literal["random", "sobol", "tpe"] = "tpe"
    metric: str = "test_return_mean"
    direction: Literal["maximize", "minimize"] = "maximize"
    prune: bool = False  # end trials that are below the median of the others at the same step
    space: dict[str, Range]


class SweepFile(Section):
    """The whole file."""

    config: str | list[str]
    env_config: str | list[str]
    t_max: int | None = Field(default=None, ge=1)
    seeds: int = Field(default=5, ge=1)
    first_seed: int = Field(default=0, ge=0)
    preset: str | None = None
    settings: list[str] = []
    grid: dict[str, list[Any]] = {}
    search: SearchFile | None = None
    plugins: list[str] = []


def read_sweep(path: Path | None, given: dict[str, Any]) -> SweepFile:
    """The file, with what the command line gives over it; ConfigError at a mistake."""
    if path is not None and not path.is_file():
        raise ConfigError(f"{path}: no such file. A sweep's file is YAML (docs/scale.md)")
    values = {**(load_yaml(path) if path else {}), **given}
    for key in ("config", "env_config"):
        if key not in values:
            option = f"--{key.replace('_', '-')}"
            raise ConfigError(f"{option}=NAME is missing" + (f", and {path} has no {key}" if path else ""))
    try:
        return SweepFile.model_validate(values)
    except ValidationError as error:
        lines = explain_file(error, SweepFile, SearchFile, Range)
        raise ConfigError("\n".join([str(path or "command line") + ":", *lines])) from None


def parse_grid(words: Sequence[str]) -> dict[str, list[str]]:
    """KEY=VALUE,VALUE of each word; commas in brackets belong to a value."""
    grid = {}
    for word in words:
        key, equals, values = word.partition("=")
        if not (key and equals and values):
            raise ConfigError(f"--grid {word}: give KEY=VALUE,VALUE, such as lr=0.001,0.0005")
        grid[key] = re.split(r",(?![^\[{(]*[\]})])", values)
    return grid


def cells_of(sweep: SweepFile, t_max_of: dict[str, int]) -> list[Cell]:
    """All runs, those of a seed together; `t_max_of` has the length of each environment's runs."""
    configs, envs = as_list(sweep.config), as_list(sweep.env_config)
    points = [dict(zip(sweep.grid, values, strict=True)) for values in itertools.product(*sweep.grid.values())]
    cells = []
    for seed in range(sweep.first_seed, sweep.first_seed + sweep.seeds):
        for env, config, point in itertools.product(envs, configs, points):
            words = [f"{key}={value}" for key, value in point.items()]
            variant = "_".join(re.sub(r"[^\w.=+,-]+", "-", word) for word in (config, *words))
            settings = (*sweep.settings, *words)
            t_max = sweep.t_max or t_max_of[env]
            place, plugins = env if len(envs) > 1 else "", tuple(sweep.plugins)
            cells.append(Cell(variant, seed, config, env, t_max, settings, sweep.preset, place, plugins))
    folders = {cell.folder(Path()) for cell in cells}
    if len(folders) < len(cells):
        raise ConfigError("two runs of this sweep have the same name: list each configuration and value once")
    return cells


def as_list(value: str | list[str]) -> list[str]:
    """One or several."""
    return [value] if isinstance(value, str) else value

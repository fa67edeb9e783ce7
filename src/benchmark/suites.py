"""What a benchmark plays: tasks, algorithms and their settings, from src/config/suites/*.yaml or a file of the user."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bn_mappo.config.explain import explain_file
from bn_mappo.config.loading import CONFIG_DIR, config_names
from bn_mappo.config.reading import load_yaml
from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.envs.registry import env_names
from bn_mappo.sweep.cells import Cell

SUITES = CONFIG_DIR / "suites"
EVALUATIONS = 20  # of a run
QUICK_SHARE = 40  # --quick plays so many times fewer steps
FIRST_TUNING_SEED = 1000  # results use the seeds from 0 on


class Strict(BaseModel):
    """A section of a suite's file; a key that is none is an error."""

    model_config = ConfigDict(extra="forbid")


class TaskFile(Strict):
    """A task as its file has it."""

    env_config: str
    t_max: int = Field(ge=1)
    settings: list[str] = []
    zero: str = "uniformly random actions"
    lowest: float | None = None
    highest: float | None = None


class AlgorithmFile(Strict):
    """An algorithm as its file has it: a configuration, settings for all tasks, and for some."""

    config: str
    settings: list[str] = []
    per_task: dict[str, list[str]] = {}
    candidates: str | None = None


class TuningFile(Strict):
    """What was tried for each algorithm, all with the same number of candidates."""

    seeds: int = Field(ge=1)
    candidates: dict[str, list[list[str]]]


class SuiteFile(Strict):
    """The whole file."""

    title: str
    metric: str = "test_return_mean"
    seeds: int = Field(default=10, ge=1)
    tasks: dict[str, TaskFile] = Field(min_length=1)
    algorithms: dict[str, AlgorithmFile] = Field(min_length=1)
    tuning: TuningFile | None = None


@dataclass(frozen=True)
class Task:
    """One environment with settings that hold for all algorithms."""

    name: str
    env_config: str
    t_max: int  # environment steps
    settings: tuple[str, ...]
    zero: str  # what scores 0, in words
    lowest: float | None  # return that scores 0; None: that of uniformly random actions
    highest: float | None  # return that scores 1; None: that of the environment's best scripted policy


@dataclass(frozen=True)
class Algorithm:
    """One contestant."""

    name: str
    config: str
    settings: tuple[str, ...]
    per_task: dict[str, tuple[str, ...]] = field(hash=False, default_factory=dict)
    candidates: str | None = None

    def cell(self, task: Task, seed: int, t_max: int, more: Sequence[str] = ()) -> Cell:
        """Its run on a task."""
        often = (f"test_interval={max(t_max // EVALUATIONS, 1)}", f"save_model_interval={t_max}")
        settings = (*often, *task.settings, *self.settings, *self.per_task.get(task.name, ()), *more)
        return Cell(self.name, seed, self.config, task.env_config, t_max, settings, place=task.name)


@dataclass(frozen=True)
class Suite:
    """Tasks, algorithms, and what was tried to find their settings."""

    name: str
    title: str
    metric: str
    n_seeds: int
    tasks: tuple[Task, ...]
    algorithms: tuple[Algorithm, ...]
    tuning: TuningFile | None

    def cells(self, seeds: range, share: float = 1.0) -> list[Cell]:
        """All runs, those of a seed together; `share` of the steps of each task."""
        return [
            algorithm.cell(task, seed, max(int(task.t_max * share), 1))
            for seed in seeds
            for task in self.tasks
            for algorithm in self.algorithms
        ]


def suite_names() -> list[str]:
    """The suites that come with the package."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """A suite by its name, or by the path of a YAML file; ConfigError where it is none, or has a mistake in it."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.is_file():
        if path.parent != SUITES:
            raise ConfigError(f"--suite {name}: no such file")
        raise unknown("suite", name, [*suite_names(), "FILE.yaml"])
    try:
        read = SuiteFile.model_validate(load_yaml(path))
    except ValidationError as error:
        raise ConfigError(
            f"{path}:\n" + "\n".join(explain_file(error, SuiteFile, TaskFile, AlgorithmFile, TuningFile))
        ) from None
    for key, task in read.tasks.items():
        if task.env_config not in env_names():
            raise unknown(f"env_config of the task {key} in {path}", task.env_config, env_names())
    for key, algorithm in read.algorithms.items():
        if algorithm.config not in config_names("algs"):
            raise unknown(f"config of the algorithm {key} in {path}", algorithm.config, config_names("algs"))
        for name in algorithm.per_task:
            if name not in read.tasks:
                raise unknown(f"task of the algorithm {key} in {path}", name, read.tasks)
    check_tuning(read, path)
    tasks = tuple(
        Task(key, t.env_config, t.t_max, tuple(t.settings), t.zero, t.lowest, t.highest)
        for key, t in read.tasks.items()
    )
    algorithms = tuple(
        Algorithm(key, a.config, tuple(a.settings), {t: tuple(words) for t, words in a.per_task.items()}, a.candidates)
        for key, a in read.algorithms.items()
    )
    return Suite(path.stem, read.title, read.metric, read.seeds, tasks, algorithms, read.tuning)


def check_tuning(read: SuiteFile, path: Path) -> None:
    """ConfigError where algorithms have no candidates, or not equally many."""
    if read.tuning is None:
        return
    for key, algorithm in read.algorithms.items():
        if algorithm.candidates not in read.tuning.candidates:
            raise unknown(f"candidates of {key} in {path}", str(algorithm.candidates), read.tuning.candidates)
    numbers = {len(each) for each in read.tuning.candidates.values()}
    if len(numbers) != 1:
        raise ConfigError(f"{path}: tuning.candidates: each list needs as many entries, not {sorted(numbers)}")


def chosen(suite: Suite, algorithms: Sequence[str] | None, tasks: Sequence[str] | None) -> Suite:
    """The suite with some of its algorithms and tasks; ConfigError at a name that it does not have."""

    def pick(what: str, names: Sequence[str] | None, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        if names is None:
            return entries
        by_name = {entry.name: entry for entry in entries}
        for name in names:
            if name not in by_name:
                raise unknown(f"{what} of the suite {suite.name}", name, by_name)
        return tuple(by_name[name] for name in names)

    return replace(
        suite,
        algorithms=pick("algorithm", algorithms, suite.algorithms),
        tasks=pick("task", tasks, suite.tasks),
    )

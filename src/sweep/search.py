"""Search for settings by Optuna: it proposes them and ends hopeless trials; runs are those of any sweep."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bn_mappo.core.errors import ConfigError, RunError, unknown
from bn_mappo.core.extras import load
from bn_mappo.core.nested import differences, flatten
from bn_mappo.core.progress import progress
from bn_mappo.sweep.cells import Cell, check_parts, readable
from bn_mappo.sweep.executor import Executor
from bn_mappo.sweep.lock import take
from bn_mappo.sweep.plan import Range, SearchFile, SweepFile, as_list
from bn_mappo.sweep.run import MOST_LOSSES, SECONDS_BETWEEN_LOOKS, write_settings
from bn_mappo.tracking.files import read_json, write_json

STUDY_FILE = "study.log"
SEARCH_FILE = "search.json"  # what all trials have in common
WARM_UP = 5  # trials that are never ended early; others are compared with their median


class Result(NamedTuple):
    """What a search has found."""

    best: dict[str, Any] | None  # settings; None: no trial has ended well
    value: float | None
    n_complete: int
    n_pruned: int
    n_failed: int


class Running(NamedTuple):
    """A trial and its run."""

    trial: Any  # of Optuna
    losses: int = 0


def search(sweep: SweepFile, t_max: int, root: Path, make_executor: Callable[[], Executor]) -> Result:
    """Run all trials that are missing or failed; the study goes on in its file where it was interrupted.

    ConfigError where another process is at work on it, or it was begun with other settings.
    """
    assert sweep.search is not None
    optuna, wanted = load("optuna"), sweep.search
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # of the Sobol sampler
    some = {key: ends(bounds)[0] for key, bounds in wanted.space.items()}
    first = sample_cell(sweep, some, 0, t_max)
    for key, bounds in wanted.space.items():  # a mistake is met before anything starts
        check_parts(sample_cell(sweep, {**some, key: value}, 0, t_max) for value in ends(bounds))
    with take(root):
        study = make_study(optuna, wanted, sweep.first_seed, root)
        check_search(sweep, first, root, has_values=any(trial.value is not None for trial in study.trials))
        return run_trials(optuna, study, sweep, t_max, root, make_executor)


def run_trials(
    optuna: Any, study: Any, sweep: SweepFile, t_max: int, root: Path, make_executor: Callable[[], Executor]
) -> Result:
    """Ask the study for settings, run them, and tell it what they earned."""
    assert sweep.search is not None
    wanted, states = sweep.search, optuna.trial.TrialState
    left = wanted.n_trials - sum(trial.state in (states.COMPLETE, states.PRUNED) for trial in study.trials)
    if left <= 0:
        return result_of(study, states)
    resumed = [optuna.trial.Trial(study, trial._trial_id) for trial in study.trials if trial.state == states.RUNNING]
    executor, running = make_executor(), dict[Cell, Running]()
    started, steps_before = 0, 0
    with progress(left * t_max) as report:
        try:
            while started < left or running:
                while started < left and len(running) < executor.slots:
                    trial = resumed.pop() if resumed else study.ask()
                    settings = {key: suggest(trial, key, bounds) for key, bounds in wanted.space.items()}
                    cell = sample_cell(sweep, settings, trial.number, t_max)
                    write_settings(cell, root)
                    executor.start(cell, root)
                    running[cell] = Running(trial)
                    started += 1
                for cell, was_lost in executor.ended(SECONDS_BETWEEN_LOOKS):
                    own = running.pop(cell)
                    if was_lost and not cell.is_done(root) and own.losses < MOST_LOSSES:
                        executor.start(cell, root)
                        running[cell] = Running(own.trial, own.losses + 1)
                        continue
                    tell(study, own.trial, cell, root, wanted.metric, states)
                if wanted.prune:
                    for cell, own in running.items():
                        if is_hopeless(own.trial, cell, root, wanted.metric):
                            own.trial.set_user_attr("pruned", True)
                            executor.cancel(cell)
                ended = started - len(running)
                steps = ended * t_max + sum(min(cell.steps_done(root), t_max - 1) for cell in running)
                shares = {cell.title: cell.steps_done(root) / t_max for cell in running}
                report(max(steps - steps_before, 0), f"{ended} of {left} trials done", shares)
                steps_before = max(steps, steps_before)
        finally:
            executor.stop()
    return result_of(study, states)


def check_search(sweep: SweepFile, first: Cell, root: Path, has_values: bool) -> None:
    """ConfigError where the study in this folder was begun with other settings; else they are written down.

    More trials, another sampler and another pruning may join those that there are; another metric only if none has one.
    """
    assert sweep.search is not None
    path, aim = root / SEARCH_FILE, sweep.search.model_dump(include={"metric", "direction"})
    now = {"settings": first.settings(), "space": sweep.search.model_dump()["space"], **aim}
    with readable(root):
        before = read_json(path) if path.exists() else now
    if not has_values:
        before = {**before, **aim}
    changed = ", ".join(f"{k}: {old} -> {new}" for k, (old, new) in differences(flatten(before), flatten(now)).items())
    if changed:
        raise ConfigError(
            f"{root} holds a search that was begun with other settings ({changed}). Give another --output, or delete "
            "that folder"
        )
    write_json(path, now)


def make_study(optuna: Any, wanted: SearchFile, seed: int, root: Path) -> Any:
    """The study of this folder, from its file where it has begun."""
    samplers = optuna.samplers
    sampler = {
        "random": lambda: samplers.RandomSampler(seed=seed),
        "sobol": lambda: samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed),
        "tpe": lambda: samplers.TPESampler(seed=seed, constant_liar=True),
    }[wanted.sampler]()
    backend = optuna.storages.journal.JournalFileBackend(str(root / STUDY_FILE))
    return optuna.create_study(
        study_name="sweep",
        storage=optuna.storages.JournalStorage(backend),
        sampler=sampler,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP) if wanted.prune else optuna.pruners.NopPruner(),
        direction=wanted.direction,
        load_if_exists=True,
    )


def suggest(trial: Any, key: str, bounds: Range) -> Any:
    """The value of a setting in a trial; that of a resumed one is the one it had."""
    if bounds.choices is not None:
        return trial.suggest_categorical(key, bounds.choices)
    assert bounds.low is not None and bounds.high is not None
    if bounds.integer:
        return trial.suggest_int(key, round(bounds.low), round(bounds.high), log=bounds.log)
    return trial.suggest_float(key, bounds.low, bounds.high, log=bounds.log)


def ends(bounds: Range) -> list[Any]:
    """The two ends of a range, or all choices."""
    if bounds.choices is not None:
        return bounds.choices
    assert bounds.low is not None and bounds.high is not None
    return [round(bounds.low), round(bounds.high)] if bounds.integer else [bounds.low, bounds.high]


def sample_cell(sweep: SweepFile, settings: dict[str, Any], number: int, t_max: int) -> Cell:
    """The run of a trial."""
    configs, envs = as_list(sweep.config), as_list(sweep.env_config)
    if len(configs) != 1 or len(envs) != 1 or sweep.grid:
        raise ConfigError("a search has one config, one env_config, and no grid: put what varies in search.space")
    words = (*sweep.settings, *(f"{key}={value}" for key, value in settings.items()))
    variant = re.sub(r"\W+", "-", configs[0]) + f"_{number:04d}"
    return Cell(variant, sweep.first_seed, configs[0], envs[0], t_max, words, sweep.preset, "", tuple(sweep.plugins))


def tell(study: Any, trial: Any, cell: Cell, root: Path, metric: str, states: Any) -> None:
    """How a trial has ended; RunError where the metric is none that a run of this kind logs."""
    rows = cell.rows(root)
    values = [row[metric] for row in rows if row.get(metric) is not None]
    if cell.is_done(root) and not any(metric in row for row in rows):
        study.tell(trial, state=states.FAIL)
        names = {name for row in rows for name in row} - {"step"}
        raise RunError(f"the metric of the search is in no row of a finished run: {unknown('metric', metric, names)}")
    if trial.user_attrs.get("pruned"):
        study.tell(trial, state=states.PRUNED)
    elif cell.is_done(root) and values:
        study.tell(trial, values[-1])
    else:
        study.tell(trial, state=states.FAIL)


def is_hopeless(trial: Any, cell: Cell, root: Path, metric: str) -> bool:
    """Whether the pruner ends it; tells the study of new evaluations."""
    if trial.user_attrs.get("pruned"):
        return False
    known = trial.storage.get_trial(trial._trial_id).intermediate_values
    for row in cell.rows(root):
        if row.get(metric) is not None and row["step"] not in known:
            trial.report(row[metric], row["step"])
    return bool(trial.should_prune())


def result_of(study: Any, states: Any) -> Result:
    """The best trial, and how many ended how."""
    ways = (states.COMPLETE, states.PRUNED, states.FAIL)
    numbers = [sum(trial.state == way for trial in study.trials) for way in ways]
    if not numbers[0]:
        return Result(None, None, *numbers)
    return Result(study.best_params, study.best_value, *numbers)

"""What checkpoints of a grid's runs do, measured in several processes and kept beside the runs: measured once."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bn_mappo.analysis.checkpoint_facts import Facts, Mode, gather
from bn_mappo.analysis.parent_choice import QUANTITIES, Choice
from bn_mappo.core.errors import RunError
from bn_mappo.core.files import write_whole
from bn_mappo.core.progress import progress
from bn_mappo.sweep.cells import Cell

FOLDER = "measured"  # in a run's folder
FORMAT = 1  # of the files; a change of what is measured is a new one


class Job(NamedTuple):
    """Episodes of one checkpoint to play."""

    checkpoint: Path
    mode: Mode
    n_episodes: int

    @property
    def target(self) -> Path:
        """Where the result is kept: in the folder of the run that wrote the checkpoint, to be copied with it."""
        name = f"{self.checkpoint.stem}_{self.mode}_{self.n_episodes}_v{FORMAT}.npz"
        return self.checkpoint.parents[1] / FOLDER / name


def last_jobs(cells: Sequence[Cell], runs: Path, mode: Mode, n_episodes: int) -> dict[int, Job]:
    """One job a seed, of the last checkpoint of each finished run; RunError where a run has none."""
    jobs = {}
    for cell in cells:
        if cell.is_done(runs):
            files = cell.checkpoints(runs)
            if not files:
                raise RunError(f"{cell.folder(runs)} has no checkpoints; copy a run as a whole, or delete that folder")
            jobs[cell.seed] = Job(files[max(files)], mode, n_episodes)
    return jobs


def jobs_along(cells: Sequence[Cell], runs: Path, mode: Mode, n_episodes: int) -> dict[int, dict[int, Job]]:
    """Jobs by environment steps and seed: of the checkpoints that all finished runs have."""
    files = {cell.seed: cell.checkpoints(runs) for cell in cells if cell.is_done(runs)}
    shared = sorted(set.intersection(*map(set, files.values()))) if files else []
    if files and not shared:
        names = ", ".join(str(cell.folder(runs)) for cell in cells)
        raise RunError(f"there is no step of which all of these have a checkpoint: {names}")
    return {step: {seed: Job(own[step], mode, n_episodes) for seed, own in files.items()} for step in shared}


def measure(jobs: Iterable[Job], processes: int) -> None:
    """Do the jobs that are not done yet, so many at a time, with progress."""
    missing = [job for job in dict.fromkeys(jobs) if not job.target.exists()]
    if not missing:
        return
    with (
        progress(len(missing)) as report,
        ProcessPoolExecutor(min(processes, len(missing)), get_context("spawn"), _begin) as pool,
    ):
        try:
            futures = [pool.submit(_do, job) for job in missing]
            for k, future in enumerate(as_completed(futures)):
                future.result()
                report(1, f"{k + 1} of {len(missing)} checkpoints measured")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    import torch

    torch.set_num_threads(1)


def _do(job: Job) -> None:
    write_facts(gather(*job), job.target)


def write_facts(facts: Facts, path: Path) -> Path:
    """As one file of arrays."""
    arrays: dict[str, Any] = {f"outcome.{name}": values for name, values in facts.outcome.items()}
    arrays |= {name: getattr(facts, name) for name in Facts._fields if name not in ("outcome", "choices")}
    for name, choice in facts.choices.items():
        arrays |= {f"choice.{name}.{field}": values for field, values in choice._asdict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, lambda file: np.savez_compressed(file, **arrays))


def read_facts(job: Job) -> Facts:
    """What `measure` has kept."""
    with np.load(job.target) as file:
        arrays = dict(file)
    outcome = {name.removeprefix("outcome."): values for name, values in arrays.items() if name.startswith("outcome.")}
    known = {
        name: Choice(*(arrays[f"choice.{name}.{field}"] for field in Choice._fields))
        for name in QUANTITIES
        if f"choice.{name}.parents" in arrays
    }
    plain = {name: arrays[name] for name in Facts._fields if name not in ("outcome", "choices", "n_actions")}
    return Facts(outcome=outcome, n_actions=int(arrays["n_actions"]), choices=known, **plain)

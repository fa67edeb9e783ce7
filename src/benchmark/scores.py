"""What the runs of a benchmark earned, in units in which 0 is random play and 1 the best known return."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bn_mappo.analysis.report import references
from bn_mappo.benchmark.suites import Algorithm, Suite, Task
from bn_mappo.config.schema import validate
from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.sweep.cells import Cell
from bn_mappo.tracking.metrics import read_rows
from bn_mappo.training.build import build

Array = npt.NDArray[np.float64]

TAIL = 0.1  # share of the steps at the end of a run whose evaluations count
GRID = np.linspace(0, 1, 41)  # shares of the steps at which curves are drawn
LEVELS = (0.5, 0.9)  # of the normalised score


class Scale(NamedTuple):
    """Returns of a task that score 0 and 1."""

    lowest: float
    highest: float


@dataclass(frozen=True)
class Outcome:
    """One algorithm on one task: B seeds."""

    algorithm: str
    task: Task
    seeds: tuple[int, ...]
    steps: Array  # [E]
    returns: Array  # [B, E]
    scores: Array  # [B, E] normalised
    minutes: Array  # [B, E] since the first row of the run
    seconds_a_step: float
    n_edges: float  # of a DAG in the last evaluation; 0 without DAGs

    def final(self) -> Array:
        """Mean normalised score at the end of each run, [B]."""
        return self.scores[:, self.steps > (1 - TAIL) * self.steps[-1]].mean(-1)

    def on_grid(self) -> Array:
        """Normalised scores at shares of the steps, [B, G]."""
        return np.stack([np.interp(GRID * self.steps[-1], self.steps, row) for row in self.scores])

    def first_at(self, level: float) -> tuple[Array, Array]:
        """Steps and minutes at which each run first scores a level, [B]; infinity where it does not."""
        reached = self.scores >= level  # [B, E]
        first = reached.argmax(-1)  # [B]
        never = ~reached.any(-1)
        steps, minutes = self.steps[first], np.take_along_axis(self.minutes, first[:, None], 1)[:, 0]
        return np.where(never, np.inf, steps), np.where(never, np.inf, minutes)


def scale_of(task: Task, cell: Cell) -> Scale:
    """The returns that score 0 and 1; ConfigError where neither the suite nor the environment tells."""
    if task.lowest is not None and task.highest is not None:
        return Scale(task.lowest, task.highest)
    known = {name: row["return"] for name, row in references(validate(cell.settings())).items()}
    lowest = known.get("uniform random") if task.lowest is None else task.lowest
    highest = max(known.values(), default=None) if task.highest is None else task.highest
    if lowest is None or highest is None or not lowest < highest:
        raise ConfigError(
            f"the task {task.name} needs `lowest` and `highest` in its suite, the returns of random play and of the "
            f"best play known: {task.env_config} has no scripted policies that tell"
        )
    return Scale(lowest, highest)


def collect(suite: Suite, cells: Sequence[Cell], root: Path, scales: dict[str, Scale]) -> list[Outcome]:
    """The finished runs, one entry for each algorithm and task that has any."""
    tasks = {task.name: task for task in suite.tasks}
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.is_done(root):
            groups.setdefault((cell.place, cell.variant), []).append(cell)
    return [outcome_of(tasks[place], suite.metric, mine, root, scales[place]) for (place, _), mine in groups.items()]


def outcome_of(task: Task, metric: str, cells: Sequence[Cell], root: Path, scale: Scale) -> Outcome:
    """The runs of one algorithm on one task."""
    returns, minutes, speeds, edges = [], [], [], []
    steps: list[int] = []
    for cell in cells:
        folder = cell.run_folder(root)
        assert folder is not None, "a finished run has a folder"
        rows = read_rows(folder)
        tests = [row for row in rows if row.get(metric) is not None]
        if not tests:
            raise unknown(f"metric of the suite, which no run of {cells[0].title} has", metric, rows[-1])
        steps = [row["step"] for row in tests]
        returns.append([row[metric] for row in tests])
        minutes.append([(row["time"] - rows[0]["time"]) / 60 for row in tests])
        speeds.append((rows[-1]["time"] - rows[0]["time"]) / max(rows[-1]["step"], 1))
        edges.append(tests[-1].get("test_dag_edges_mean", 0.0))
    shortest = min(map(len, returns))
    values = np.array([row[:shortest] for row in returns])
    scores = (values - scale.lowest) / (scale.highest - scale.lowest)
    times = np.array([row[:shortest] for row in minutes])
    seeds = tuple(cell.seed for cell in cells)
    of_steps = np.array(steps[:shortest], dtype=float)
    speed, n_edges = float(np.median(speeds)), float(np.mean(edges))
    return Outcome(cells[0].variant, task, seeds, of_steps, values, scores, times, speed, n_edges)


def by_algorithm(outcomes: Sequence[Outcome], suite: Suite) -> dict[str, list[Outcome]]:
    """Those algorithms that have runs on all tasks, each with its outcomes in the order of the tasks."""
    found: dict[str, list[Outcome]] = {}
    for algorithm in suite.algorithms:
        mine = {outcome.task.name: outcome for outcome in outcomes if outcome.algorithm == algorithm.name}
        if len(mine) == len(suite.tasks):
            found[algorithm.name] = [mine[task.name] for task in suite.tasks]
    return found


def final_scores(outcomes: Sequence[Outcome]) -> Array:
    """Final scores of the seeds that all tasks have, [B, K]."""
    common = set.intersection(*(set(outcome.seeds) for outcome in outcomes))
    columns = [[x for x, seed in zip(o.final(), o.seeds, strict=True) if seed in common] for o in outcomes]
    return np.array(columns).T


class Footprint(NamedTuple):
    """What it takes to act, on one task."""

    n_parameters: int  # of the policy
    bytes_a_step: float  # that agents exchange in a step
    needs: str  # what an agent needs beside its own observation


def footprint(algorithm: Algorithm, outcome: Outcome, seed: int) -> Footprint:
    """From the controller that the settings make."""
    mac = build(validate(algorithm.cell(outcome.task, seed, outcome.task.t_max).settings())).mac.deployed
    n_parameters = sum(parameter.numel() for parameter in mac.parameters())
    exchange = mac.exchange(outcome.n_edges)
    return Footprint(n_parameters, exchange.bytes_a_step, exchange.needs)

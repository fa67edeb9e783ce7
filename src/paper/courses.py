"""What policies do along their training, checkpoint by checkpoint: the data of figures 7 to 10."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_1samp

from bn_mappo.analysis.checkpoint_facts import Facts
from bn_mappo.paper.measured import jobs_along, measure, read_facts
from bn_mappo.paper.results import Array
from bn_mappo.paper.smac_plan import ANNEALED, SmacPlan, break_points
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid

LAST = 0.8  # of the training: from there on a policy that is not annealed is judged


class Course(NamedTuple):
    """One variant on one map: C checkpoints of S seeds, in episodes with actions and DAGs sampled as in training."""

    map_name: str
    variant: str
    t_max: int  # environment steps
    steps: tuple[int, ...]  # [C]
    seeds: tuple[int, ...]  # [S]
    facts: list[list[Facts]]  # [C][S]
    breaks: tuple[float, float, float] | None  # of the annealing, as fractions of t_max

    @property
    def window(self) -> tuple[float, float]:
        """The fractions of training in which its choice of parents is judged: while edges go; or the end."""
        return (self.breaks[0], self.breaks[1]) if self.breaks else (LAST, 1.0)

    def inside(self, low: float, high: float) -> list[list[Facts]]:
        """The checkpoints with low < fraction of training <= high, seed by seed: [S][..]."""
        rows = [row for step, row in zip(self.steps, self.facts, strict=True) if low < step / self.t_max <= high]
        return [list(column) for column in zip(*rows, strict=True)]

    @property
    def edges(self) -> Array:
        """Edges between living agents a step, [C, S]."""
        return np.array([[f.edges.sum() / f.n_steps.sum() for f in row] for row in self.facts])


class Interval(NamedTuple):
    """A mean over seeds with Student's 95 % interval; nan where one seed alone gives none."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def __str__(self) -> str:
        return f"{self.mean:.3g}" if np.isnan(self.low) else f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def over_seeds(values: Sequence[float]) -> Interval:
    """Of one value a seed. Seeds without a value (nan) are left out."""
    known = np.array([value for value in values if not np.isnan(value)])
    if len(known) < 2 or np.ptp(known) == 0:
        mean = float(known.mean()) if len(known) else float("nan")
        return Interval(mean, *((mean, mean) if len(known) > 1 else (float("nan"), float("nan"))))
    bounds = ttest_1samp(known, 0.0).confidence_interval(0.95)
    return Interval(float(known.mean()), float(bounds.low), float(bounds.high))


def make_courses(
    plan: SmacPlan, runs: Path, n_episodes: int, machines: Machines
) -> tuple[list[Course], list[Cell], list[Cell]]:
    """Run and measure what is missing; returns what there is, all cells, and those that failed."""
    cells = plan.cells()
    failed = run_grid(cells, runs, machines)
    jobs = {
        (panel.map_name, variant): jobs_along(plan.cells_of(panel, variant), runs, "sampled", n_episodes)
        for panel in plan.panels
        for variant in plan.variants
    }
    measure([job for course in jobs.values() for row in course.values() for job in row.values()], machines.processes)
    courses = []
    for (map_name, variant), course in jobs.items():
        if course:
            facts = [[read_facts(job) for job in row.values()] for row in course.values()]
            seeds = tuple(next(iter(course.values())))
            t_max = next(cell.t_max for cell in cells if cell.variant == variant and cell.place == map_name)
            is_annealed = variant == ANNEALED or variant.startswith("learned_")
            breaks = break_points(map_name) if is_annealed else None
            courses.append(Course(map_name, variant, t_max, tuple(course), seeds, facts, breaks))
    return courses, cells, failed


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file; what is not a number is left empty."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow(["" if isinstance(x, float) and np.isnan(x) else _short(x) for x in row])


def _short(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value

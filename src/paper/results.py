"""What the runs of a grid earned, as arrays, and in the two files that others read: a tidy CSV and marl-eval's JSON."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bn_mappo.paper.figure4_plan import Panel
from bn_mappo.sweep.cells import Cell
from bn_mappo.tracking.metrics import series

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """One variant in one environment: B seeds, E evaluations."""

    panel: Panel
    variant: str
    seeds: tuple[int, ...]
    steps: Array  # [E] environment steps
    values: dict[str, Array]  # [B, E] by metric
    density_steps: Array  # [D] environment steps
    density: Array  # [B, D] of the training's DAGs

    def final(self, metric: str) -> Array:
        """Mean of the evaluations in the last part of each run, [B]; nothing is chosen by its result."""
        return self.values[metric][:, self.steps > (1 - self.panel.tail) * self.steps[-1]].mean(-1)


def collect(panel: Panel, cells: Sequence[Cell], root: Path) -> list[Curves]:
    """The finished runs of these cells, one entry a variant."""
    curves = []
    for variant in dict.fromkeys(cell.variant for cell in cells):
        done = [cell for cell in cells if cell.variant == variant and cell.is_done(root)]
        logged = {cell.seed: cell.rows(root) for cell in done}
        names = [metric.name for metric in panel.metrics]
        found = [name for name in names if all(series(rows, name)[0] for rows in logged.values())]
        if not logged or not found:
            continue
        steps, _ = series(next(iter(logged.values())), found[0])
        density_steps, _ = series(next(iter(logged.values())), "dag_density")
        values = {name: np.array([series(rows, name)[1] for rows in logged.values()]) for name in found}
        density = np.array([series(rows, "dag_density")[1] for rows in logged.values()])
        curves.append(Curves(panel, variant, tuple(logged), np.array(steps), values, np.array(density_steps), density))
    return curves


def write_csv(curves: Sequence[Curves], path: Path) -> None:
    """One row for each environment, variant, seed, evaluation and metric."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["environment", "variant", "seed", "env_steps", "metric", "value"])
        for c in curves:
            for metric, values in c.values.items():
                for seed, row in zip(c.seeds, values, strict=True):
                    for step, value in zip(c.steps, row, strict=True):
                        writer.writerow([c.panel.key, c.variant, seed, int(step), metric, f"{value:.8g}"])


def write_marl_eval(curves: Sequence[Curves], path: Path) -> None:
    """The layout of marl-eval: environment, task, algorithm, seed, evaluation, and the metrics of each."""
    tree: dict[str, dict[str, dict[str, dict[str, object]]]] = {}
    for c in curves:
        algorithms = tree.setdefault(c.panel.env_config, {}).setdefault(c.panel.key, {})
        for b, seed in enumerate(c.seeds):
            run: dict[str, object] = {
                f"step_{e}": {
                    "step_count": int(step),
                    **{name: [float(values[b, e])] for name, values in c.values.items()},
                }
                for e, step in enumerate(c.steps)
            }
            run["absolute_metrics"] = {name: [float(c.final(name)[b])] for name in c.values}
            algorithms.setdefault(c.variant, {})[f"seed_{seed}"] = run
    path.write_text(json.dumps(tree) + "\n")

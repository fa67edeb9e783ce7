"""What a sweep has earned: a row a variant, as CSV and as a table."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bn_mappo.analysis.comparison import Estimate, interquartile_mean
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.core.errors import unknown
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.trainings import trainings

SUMMARY = "summary.md"


def write_summary(cells: Sequence[Cell], root: Path, metric: str, folder: Path) -> str:
    """summary.csv with the last evaluation of every finished run, and summary.md; returns the table of variants.

    ConfigError where runs have finished, and none has this metric.
    """
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.place, cell.variant), []).append(cell)
    rows, lines = [], []
    for (place, variant), mine in groups.items():
        values = {cell.seed: value for cell in mine if (value := last_value(cell, root, metric)) is not None}
        lines += [[place, variant, seed, f"{value:.6g}"] for seed, value in values.items()]
        estimate = interquartile_mean(np.array([*values.values()])) if values else "none"
        rows.append((estimate, [place, variant, f"{len(values)} of {len(mine)}", estimate]))
    done = [cell for cell in cells if cell.is_done(root)]
    if done and not lines:
        raise unknown("--metric", metric, set(done[0].rows(root)[-1]) - {"step"})
    rows.sort(key=lambda row: -row[0].value if isinstance(row[0], Estimate) else np.inf)
    has_places = any(place for place, _ in groups)
    header = ["environment", "variant", "seeds done", f"{metric}, interquartile mean [95 %]"]
    chosen = slice(None if has_places else 1, None)
    text = table(header[chosen], [row[chosen] for _, row in rows])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "summary.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["environment", "variant", "seed", metric], *lines])
    sections = ["# Sweep", listed(provenance()), "Of the last evaluation of each finished run:", text]
    (folder / SUMMARY).write_text("\n\n".join([*sections, "## Trainings", trainings(cells, root)]) + "\n")
    return text


def last_value(cell: Cell, root: Path, metric: str) -> float | None:
    """A metric at the end of a finished run."""
    if not cell.is_done(root):
        return None
    return next((float(row[metric]) for row in reversed(cell.rows(root)) if row.get(metric) is not None), None)

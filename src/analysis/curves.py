"""Learning curves of recorded runs: grouped by configuration, with the mean over seeds and its interval."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from bn_mappo.analysis.seed_statistics import Array, mean_intervals
from bn_mappo.core.errors import ConfigError, nearest
from bn_mappo.tracking.metrics import series
from bn_mappo.tracking.recorded import RecordedRun, group_key, read_metrics_safely

mpl.use("Agg")
SHORTEST_SHARE = 0.5  # of a group's longest run: a shorter run cuts the group's curve, and a note says so


class Curve(NamedTuple):
    """One line: a configuration over its seeds."""

    label: str
    n_seeds: int
    steps: Array  # [T]
    mean: Array  # [T]
    low: Array  # [T], 95 % interval of the mean; the mean itself for one seed
    high: Array  # [T]


def gather(runs: list[RecordedRun], metric: str, by: str | None) -> list[Curve]:
    """One curve a configuration, or one a value of the keys in `by` (separated by commas)."""
    keys = {key for run in runs for key in run.config}
    for key in by.split(",") if by else []:
        if key not in keys:
            raise ConfigError(f"--by {key}: no run has such a key.{nearest(key, keys)}")
    groups: dict[tuple[tuple[str, str], ...], list[RecordedRun]] = defaultdict(list)
    for run in runs:
        if run.config.get("evaluate"):
            continue
        wanted = by.split(",") if by else []
        groups[tuple((name, str(run.config.get(name))) for name in wanted) or group_key(run)].append(run)
    made = {group: _curve(own, "", metric) for group, own in groups.items()}
    curves = {group: curve for group, curve in made.items() if curve is not None}
    if not curves:
        names = {name for run in runs[:20] for row in read_metrics_safely(run) for name in row if name != "step"}
        raise ConfigError(f"--metric {metric}: none of the {len(runs)} runs has it.{nearest(metric, names)}")
    named = zip(curves.values(), labels(list(curves)), strict=True)
    return [curve._replace(label=label) for curve, label in named]


def labels(groups: list[tuple[tuple[str, str], ...]]) -> list[str]:
    """Each group by the keys in which it differs from the others; by name and env where they do not differ."""
    found: dict[str, set[str]] = defaultdict(set)
    for group in groups:
        for key, value in group:
            found[key].add(value)
    differing = {key for key, values in found.items() if len(values) > 1}
    if "name" in differing:  # each name has its own YAML file: its keys say no more
        twice = defaultdict(list)
        for group in groups:
            twice[dict(group)["name"]].append(group)
        differing = {key for same in twice.values() for key in differing if len({dict(g).get(key) for g in same}) > 1}
        differing |= {"name"} | ({"env"} & {key for key, values in found.items() if len(values) > 1})
    shown = differing or {"name", "env"}
    result = []
    for group in groups:
        values = {key: value.strip('"') for key, value in group if key in shown or len(group) <= 2}
        words = [values.pop("name", ""), *[f"{key}={value}" for key, value in values.items()]]
        result.append(" ".join(word for word in words if word))
    return result


def _curve(runs: list[RecordedRun], label: str, metric: str) -> Curve | None:
    """Mean and interval at the steps of the shortest run; None where no run has the metric."""
    by_seed: dict[object, tuple[list[int], list[float]]] = {}
    for run in sorted(runs, key=lambda run: run.run["start_time"]):
        found = series(read_metrics_safely(run), metric)
        seed = run.config.get("seed")
        if found[0] and len(found[0]) >= len(by_seed.get(seed, ((), ()))[0]):
            by_seed[seed] = found  # of two runs of one seed the longer, else the later
    if not by_seed:
        return None
    ends = [steps[-1] for steps, _ in by_seed.values()]
    if min(ends) < SHORTEST_SHARE * max(ends):
        print(f"note: {label}: drawn to step {min(ends):,}, the end of its shortest run (the longest: {max(ends):,})")
    grid = np.unique([step for steps, _ in by_seed.values() for step in steps if step <= min(ends)])  # [T]
    values = np.stack([np.interp(grid, *pair) for pair in by_seed.values()])  # [S, T], S seeds
    return Curve(label, len(values), grid, values.mean(axis=0), *mean_intervals(values))


def draw_curves(curves: list[Curve], metric: str, path: Path) -> Path:
    """One line a curve, its interval as a band, the number of seeds in the legend."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axis = figure.subplots()
    for curve in curves:
        seeds = f"{curve.n_seeds} seed{'s' if curve.n_seeds > 1 else ''}"
        (line,) = axis.plot(curve.steps, curve.mean, label=f"{curve.label} ({seeds})", linewidth=1.6)
        axis.fill_between(curve.steps, curve.low, curve.high, color=line.get_color(), alpha=0.2, linewidth=0)
    axis.set_xlabel("environment steps")
    axis.set_ylabel(metric)
    axis.set_title("mean over seeds, band: 95 % bootstrap interval of the mean, no smoothing", fontsize=10)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(path, dpi=130)
    except ValueError as error:  # an ending that matplotlib does not know
        raise ConfigError(f"--output {path}: {error}") from None
    return path

"""Where the trainings behind a figure come from: one row a variant, for its report."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.analysis.markdown import table
from bn_mappo.sweep.cells import Cell
from bn_mappo.tracking.files import read_json

HEADER = ("place", "variant", "seeds", "commit", "rules", "machine", "settings")


def trainings(cells: Sequence[Cell], runs: Path) -> str:
    """A Markdown table of the finished runs, with the command that each of them is, and where they lie."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.is_done(runs):
            groups.setdefault((cell.place, cell.variant), []).append(cell)
    rows = []
    for (place, variant), mine in groups.items():
        records = [record(cell, runs) for cell in mine]
        seeds = " ".join(str(cell.seed) for cell in mine)
        rows.append([place, variant, seeds, *(" ".join(sorted(set(column))) for column in zip(*records, strict=True))])
        rows[-1].append(f"`{settings(mine[0])}`")
    command = "python src/main.py --config=CONFIG --env-config=ENV with SETTINGS seed=S"
    return f"Each training is `{command}`, recorded under `{runs}`:\n\n{table(HEADER, rows)}"


def record(cell: Cell, runs: Path) -> tuple[str, str, str]:
    """Commit, rules and machine of the latest run of a cell; 'unknown' where it does not say."""
    folder = cell.run_folder(runs)
    assert folder is not None, "a finished run has a folder"
    run, info = (read_json(path) if path.exists() else {} for path in (folder / "run.json", folder / "info.json"))
    repositories = run.get("experiment", {}).get("repositories", [])
    commit = str(repositories[0].get("commit", "unknown"))[:10] if repositories else "unknown"
    rules = str(info.get("environment", {}).get("rules", "unknown"))
    return commit, rules, str(run.get("host", {}).get("cpu", "unknown"))


def settings(cell: Cell) -> str:
    """What tells a run from the defaults, as its command line has it; the seed is in a column of its own."""
    words = [f"--config={cell.config}", f"--env-config={cell.env_config}", "with"]
    words += [*([cell.preset] if cell.preset else []), f"t_max={cell.t_max}", *cell.overrides]
    return shlex.join(words)

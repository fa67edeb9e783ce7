"""Runs by their short names, ALG/ENV/NUMBER, as lists of runs print them."""

from pathlib import Path

from bn_mappo.core.errors import nearest

ROOT = Path("results", "sacred")  # of the command line's records, below the present folder


def named_folder(given: Path) -> Path:
    """A path that is there as it is; else the folder of the run, or of the runs, that has this short name."""
    return ROOT / given if not given.exists() and (ROOT / given).is_dir() else given


def near_runs(given: str) -> str:
    """A hint that names the recorded run whose name is nearest; empty if none is near."""
    runs = [str(path.relative_to(ROOT)) for path in ROOT.glob("*/*/*") if path.name.isdigit()]
    hint = nearest(given.removeprefix(f"{ROOT}/"), runs)
    return f".{hint}" if hint else ""

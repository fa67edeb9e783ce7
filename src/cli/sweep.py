"""Many runs from one command: seeds, grids of settings or a search, on this machine or on a Ray cluster."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bn_mappo.cli.figure_options import (
    add_machines,
    check_counts,
    check_first_seed,
    check_settings,
    machines_of,
    raise_if_failed,
    status_of,
)
from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.core.program import program
from bn_mappo.core.threads import single_threaded

if TYPE_CHECKING:  # NumPy may only come in after single_threaded()
    from bn_mappo.sweep.executor import Machines
    from bn_mappo.sweep.plan import SweepFile

METRIC, RETRIES = "test_return_mean", 1
EXAMPLE = "sweep --config bn_mappo mappo --env-config aloha --t-max 200000 --seeds 10 --grid lr=0.001,0.0005"


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog=program("sweep"),
        description=__doc__,
        epilog=f"Example: {program(EXAMPLE.partition(' ')[0])} "
        f"{EXAMPLE.partition(' ')[2]}. Every option of a file can be given here, and counts more (docs/scale.md).",
    )
    options.add_argument("file", nargs="?", type=Path, help="YAML file of the sweep")
    options.add_argument("--config", nargs="+", help="algorithms: names of src/config/algs")
    options.add_argument("--env-config", nargs="+", help="environments: names of src/config/envs")
    options.add_argument("--seeds", type=int, help="number of seeds (default: 5)")
    options.add_argument("--first-seed", type=int, help="the first seed (default: 0)")
    options.add_argument("--t-max", type=int, help="environment steps of a run (default: the environment's)")
    options.add_argument("--grid", nargs="+", metavar="KEY=V,V", help="settings, each with all its values")
    options.add_argument("--with", dest="settings", nargs="+", metavar="KEY=VALUE", help="settings of all runs")
    options.add_argument("--import", dest="plugins", action="append", help="a module or Python file to import first")
    options.add_argument("--preset", help="settings to lay over ours, such as paper")
    options.add_argument("--metric", help=f"what the summary tells (default: {METRIC})")
    options.add_argument("--output", type=Path, help="folder for runs and summary (default: results/sweeps/NAME)")
    add_machines(options)
    options.add_argument("--retries", type=int, help=f"how often a failed run is tried again (default: {RETRIES})")
    options.add_argument("--index", type=int, help="run the run of this number alone, as in an array job of Slurm")
    options.add_argument("--list", action="store_true", help="print all runs with their numbers and states, start none")
    return options


def run(options: argparse.Namespace) -> None:
    """Run the sweep; ConfigError at a mistake, before anything starts."""
    check_counts(options, "seeds", "t_max")
    check_first_seed(options)
    check_settings(options.settings or ())
    if options.retries is not None and options.retries < 0:
        raise ConfigError(f"--retries {options.retries}: give a number of at least 0")
    single_threaded()
    machines = machines_of(options)
    from bn_mappo.core.plugins import load_plugins
    from bn_mappo.sweep.cells import check_settings as check_cells
    from bn_mappo.sweep.plan import as_list, cells_of, parse_grid, read_sweep
    from bn_mappo.sweep.run import run_grid
    from bn_mappo.sweep.summary import SUMMARY, write_summary

    names = ("config", "env_config", "seeds", "first_seed", "t_max", "settings", "preset", "plugins")
    given: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.grid:
        given["grid"] = parse_grid(options.grid)
    sweep = read_sweep(options.file, given)
    load_plugins(sweep.plugins)
    lengths = steps_of(as_list(sweep.config)[0], as_list(sweep.env_config))
    folder = options.output or Path("results", "sweeps", options.file.stem if options.file else name_of(sweep))
    root = folder / "runs"
    if sweep.search is not None:
        run_search(options, sweep, lengths, root, machines)
        return
    cells = cells_of(sweep, lengths)
    if options.list:
        check_cells(cells, root)
        for number, cell in enumerate(cells):
            done = cell.steps_done(root) / cell.t_max
            print(f"{number:5}  {done:4.0%}  {cell.title}  {' '.join(cell.overrides)}".rstrip())
        return
    if options.index is not None:
        if not 0 <= options.index < len(cells):
            raise ConfigError(f"--index {options.index}: this sweep has the runs 0 to {len(cells) - 1} (--list)")
        cells = [cells[options.index]]
    failed = run_grid(cells, root, machines, RETRIES if options.retries is None else options.retries)
    if options.index is None:
        print(write_summary(cells, root, options.metric or METRIC, folder))
        print(f"\n{len(cells) - len(failed)} of {len(cells)} runs done. Summary: {folder / SUMMARY}")
    raise_if_failed(failed, root)


def run_search(
    options: argparse.Namespace,
    sweep: "SweepFile",
    lengths: dict[str, int],
    root: Path,
    machines: "Machines",
) -> None:
    """A sweep with a section `search`."""
    from bn_mappo.sweep.plan import as_list
    from bn_mappo.sweep.run import make_executor
    from bn_mappo.sweep.search import STUDY_FILE, search

    if options.index is not None or options.list:
        raise ConfigError("--index and --list number the runs of a grid; a search has none before it has run")
    for name in ("seeds", "retries", "metric"):
        if getattr(options, name) is not None:
            raise ConfigError(
                f"--{name} is an option of grids. A search has one seed (--first-seed) and the metric of its file, and "
                "the same command again tries failed trials anew"
            )
    assert sweep.search is not None
    t_max = sweep.t_max or lengths[as_list(sweep.env_config)[0]]
    found = search(sweep, t_max, root, partial(make_executor, machines, root))
    print(f"{found.n_complete} trials complete, {found.n_pruned} ended early, {found.n_failed} failed")
    print(f"All trials: {root / STUDY_FILE} (Optuna's journal), their runs beside it")
    if found.best is None:
        raise RunError(f"no trial has ended well; see log.txt in their folders under {root}")
    print(f"Best: {sweep.search.metric} = {found.value:.6g} with {' '.join(f'{k}={v}' for k, v in found.best.items())}")


def steps_of(config: str, env_configs: Sequence[str]) -> dict[str, int]:
    """Environment steps of a run by the environments' own YAML."""
    from bn_mappo.config.loading import load_layers
    from bn_mappo.core.errors import unknown
    from bn_mappo.envs.registry import env_layer, env_names

    for name in env_configs:
        if name not in env_names():
            raise unknown("--env-config", name, env_names())
    return {name: int(load_layers(config, name, env_layer(name))["t_max"]) for name in env_configs}


def name_of(sweep: "SweepFile") -> str:
    """Of the folder of a sweep that has no file."""
    from bn_mappo.sweep.plan import as_list

    return "_".join([*as_list(sweep.config), *as_list(sweep.env_config), *sweep.grid])


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status; 2 with one message for a user's mistake."""
    options = parser().parse_args(arguments)
    return status_of("sweep", lambda: run(options))

"""Algorithms held against each other: `benchmark --suite micro`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.cli.figure_options import (
    add_grid,
    check_counts,
    check_first_seed,
    machines_of,
    raise_if_failed,
    status_of,
)
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.program import program
from bn_mappo.core.threads import single_threaded

FOLDER = Path("results", "benchmark")


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog=program("benchmark"), description=__doc__)
    options.add_argument("--suite", default="micro", help="micro (default), skirmish, grid, or a YAML file of your own")
    options.add_argument("--algorithms", nargs="+", help="some of the suite's (default: all); a wrong name lists them")
    options.add_argument("--tasks", "--maps", nargs="+", help="some of the suite's (default: all)")
    options.add_argument("--seeds", type=int, help="number of seeds (default: the suite's)")
    add_grid(options)
    options.add_argument("--tune", action="store_true", help="try the suite's candidates instead, on other seeds")
    options.add_argument("--output", type=Path, help="folder for runs and report (default: results/benchmark/SUITE)")
    options.add_argument("--quick", action="store_true", help="2 seeds, a fortieth of the steps: to see that it works")
    return options


def run(options: argparse.Namespace) -> None:
    """Run the benchmark; ConfigError at a mistake, before anything starts."""
    check_counts(options, "seeds")
    check_first_seed(options)
    single_threaded()
    from bn_mappo.benchmark.run import make_benchmark, tune
    from bn_mappo.benchmark.suites import QUICK_SHARE, chosen, load_suite

    suite = chosen(load_suite(options.suite), options.algorithms, options.tasks)
    if options.tune and suite.tuning is None:
        raise ConfigError(f"--tune: the suite {suite.name} has no section `tuning` with candidates")
    name = "_".join(word for word in (suite.name, options.tune and "tuning", options.quick and "quick") if word)
    folder, share = options.output or FOLDER / name, 1 / QUICK_SHARE if options.quick else 1.0
    if options.tune:
        failed = tune(suite, share, folder, machines_of(options))
        print(f"What was tried, and what was best: {folder / 'tuning.md'}")
    else:
        n_seeds = options.seeds or (2 if options.quick else suite.n_seeds)
        seeds = range(options.first_seed, options.first_seed + n_seeds)
        failed = make_benchmark(suite, seeds, share, folder, machines_of(options))
        print(f"Report: {folder / 'report.md'}")
    raise_if_failed(failed, folder / "runs")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status; 2 with one message for a user's mistake."""
    options = parser().parse_args(arguments)
    return status_of("benchmark", lambda: run(options))

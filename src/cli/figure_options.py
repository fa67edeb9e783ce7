"""Options that the commands with many trainings share, their checks, and how they end."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.core.options import N_SEEDS
from bn_mappo.core.program import program

if TYPE_CHECKING:  # NumPy may only come in after single_threaded()
    from bn_mappo.sweep.cells import Cell
    from bn_mappo.sweep.executor import Machines

FIGURES_FOLDER = Path("results", "figures")


def check_counts(options: argparse.Namespace, *names: str) -> None:
    """ConfigError where one of these options is given and below 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: give a number of at least 1")


def check_first_seed(options: argparse.Namespace) -> None:
    """ConfigError where the first seed is none."""
    if options.first_seed is not None and not 0 <= options.first_seed < N_SEEDS:
        raise ConfigError(f"--first-seed {options.first_seed}: seeds are numbers from 0 to {N_SEEDS - 1}")


def check_settings(words: Sequence[str]) -> None:
    """ConfigError where a word is not KEY=VALUE."""
    for word in words:
        if not word.partition("=")[1] or not word.partition("=")[0]:
            raise ConfigError(f"--with {word}: give settings as KEY=VALUE, such as batch_size_run=64")


def raise_if_failed(failed: "Sequence[Cell]", runs: Path) -> None:
    """RunError that names the runs of a grid that failed."""
    if failed:
        why = [f"{cell.place} {cell.variant} seed {cell.seed}: {cell.last_words(runs)}".strip() for cell in failed]
        raise RunError("\n  ".join([f"{len(failed)} runs failed; see log.txt in their folders under {runs}", *why]))


def add_grid(parser: argparse.ArgumentParser, first_seed: int | None = 0, meaning: str = "0") -> None:
    """Options of every grid of runs."""
    parser.add_argument("--first-seed", type=int, default=first_seed, help=f"the first seed (default: {meaning})")
    add_machines(parser)


def add_machines(parser: argparse.ArgumentParser) -> None:
    """Where the runs of a grid are executed."""
    parser.add_argument(
        "--processes",
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="trainings at a time, each on one thread (default: all cores)",
    )
    parser.add_argument("--cluster", metavar="WHERE", help="a Ray cluster: auto, local, or its address (docs/scale.md)")
    parser.add_argument("--cpus-per-run", type=float, default=1, help="CPUs a run takes of a cluster (default: 1)")
    parser.add_argument("--gpus-per-run", type=float, default=0, help="GPUs, likewise; may be a fraction (default: 0)")


def machines_of(options: argparse.Namespace) -> "Machines":
    """What the options of `add_machines` say; ConfigError where a number makes no sense."""
    from bn_mappo.sweep.executor import Machines

    check_counts(options, "processes")
    if min(options.cpus_per_run, options.gpus_per_run) < 0:
        raise ConfigError("--cpus-per-run and --gpus-per-run: give a number of at least 0")
    return Machines(options.processes, options.cluster, options.cpus_per_run, options.gpus_per_run)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Settings of all runs of a grid."""
    parser.add_argument("--preset", help="settings to lay over ours: paper, those of the paper's table (default: none)")
    parser.add_argument(
        "--with",
        dest="settings",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="settings of all runs, as after `with` on the command line of a training",
    )


def status_of(command: str, run: Callable[[], None]) -> int:
    """The exit status of a command that trains: 2 with one message for a user's mistake, 130 if interrupted."""
    name, *rest = command.split()
    title = " ".join([program(name), *rest])
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: running trainings are saved
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        run()
    except ConfigError as error:
        print(f"{title}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{title}: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except RunError as error:
        print(f"{title}: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a folder that cannot be written to, a full disk
        print(f"{title}: error: {error}. The same command goes on from here", file=sys.stderr)
        return 1
    return 0

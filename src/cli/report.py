"""Command line: bn-mappo report RUN ... --html writes one self-contained page (docs/report.md)."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.named_runs import named_folder
from bn_mappo.core.program import program

DESCRIPTION = """One HTML page that needs no other file and no network. Of one run: its learning curves, its DAG step by
step over episodes that are played for it, its animation, configuration and provenance. Of several runs, or of a folder
with several: mean curves and statistics over seeds."""
NAME = "report.html"


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog=program("report"), description=DESCRIPTION)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN|SWEEP", help="folders of runs, or a folder of runs")
    file = f"default: {NAME} in the first folder"
    parser.add_argument("--html", nargs="?", type=Path, const=Path(), metavar="FILE", help=f"where to ({file})")
    parser.add_argument("--episodes", type=int, default=3, help="to record for the DAG of one run (default: 3)")
    return parser


def report(options: argparse.Namespace) -> None:
    """Write the page, and say where it is."""
    if options.html is None:
        raise ConfigError(f"--html is missing: a page is all that there is. {program('report')} RUN --html [FILE]")
    if options.episodes < 1:
        raise ConfigError(f"--episodes {options.episodes}: give at least 1")
    from bn_mappo.analysis.html_report import find, write_page

    path = named_folder(options.runs[0]) / NAME if options.html == Path() else options.html
    print("Reading the runs, and playing episodes for their DAGs ...", file=sys.stderr)
    print(f"Page: {write_page(find(options.runs), path, options.episodes)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one message for a user's mistake."""
    options = make_parser().parse_args(arguments)
    try:
        report(options)
    except (ConfigError, OSError) as error:
        fail(error, 2)
    return 0

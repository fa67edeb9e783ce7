"""Command line: bn-mappo runs list|show|compare|plot shows recorded runs, from their files alone."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail, nearest
from bn_mappo.core.nested import differences
from bn_mappo.core.program import program
from bn_mappo.tracking.recorded import RecordedRun, read_metrics_safely, without_continued
from bn_mappo.tracking.selection import add_selection, select

SHOWN = {"return": "test_return_mean", "won": "test_battle_won_mean", "density": "dag_density"}
EXAMPLES = f"""Examples:
  {program("runs")} list                                   every run, newest last
  {program("runs")} list --env aloha --status completed --sort test_return_mean --limit 10
  {program("runs")} list seed=3 dag.generator=full --since 2026-11-01
  {program("runs")} show bn_mappo/aloha/3                  one run: how it ended, settings, last metrics
  {program("runs")} compare bn_mappo/aloha/3 mappo/aloha/1 settings in which they differ
  {program("runs")} plot --env aloha                       learning curves with intervals over seeds
A run is ALG/ENV/NUMBER or its folder; ALG/ENV stands for all runs in it."""


def print_columns(lines: list[list[str]], n_left: int) -> None:
    """Aligned columns, the first few to the left; rich would take a second for a thousand rows."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if index < n_left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def list_runs(options: argparse.Namespace) -> None:
    """A table of runs, newest last: status, start, steps and the last metrics."""
    runs = select(options)
    metrics = {**SHOWN, **{name: name for name in options.metric}}
    sort = SHOWN.get(options.sort, options.sort)
    values = {run.folder: run.last_values(list(dict.fromkeys([*metrics.values(), sort]))) for run in runs}
    if sort == "started":
        runs.sort(key=lambda run: run.run.get("start_time", ""))
    else:
        if runs and not any(sort in value for value in values.values()):
            known = {name for run in runs[:50] for row in read_metrics_safely(run) for name in row}
            raise ConfigError(f"--sort {options.sort}: no such metric in these runs.{nearest(sort, known)}")
        runs.sort(key=lambda run: values[run.folder].get(sort, float("-inf")))
    n_all, runs = len(runs), runs[-options.limit :] if options.limit else runs
    shown = {label: name for label, name in metrics.items() if any(name in values[run.folder] for run in runs)}
    lines = [["run", "status", "started (UTC)", "seed", "step", *shown]]
    for run in runs:
        last = values[run.folder]
        numbers = [f"{last[name]:.3f}" if name in last else "" for name in shown.values()]
        steps = f"{last['step']:,}" if "step" in last else ""
        lines.append([run.name, run.status, run.started, str(run.config.get("seed", "")), steps, *numbers])
    if runs:
        print_columns(lines, n_left=3)
    more = f" of {n_all}" if len(runs) < n_all else ""
    print(f"{len(runs)}{more} runs in {options.results / 'sacred'}" + ("" if runs else ": nothing to list"))
    for run in runs:
        if run.problem:
            print(f"{run.name} cannot be read: {run.problem}", file=sys.stderr)


def needed(options: argparse.Namespace, least: int) -> list[RecordedRun]:
    """The chosen runs that can be read; ConfigError where they are too few."""
    runs = select(options)
    for run in runs:
        if run.problem:
            print(f"warning: {run.name} is left out, it cannot be read: {run.problem}", file=sys.stderr)
    runs = [run for run in runs if not run.problem]
    if len(runs) < least:
        raise ConfigError(f"{len(runs)} runs chosen, at least {least} needed. See: {program('runs')} list")
    return runs


def show_runs(options: argparse.Namespace) -> None:
    """How runs ended, where they came from, what was set, and their last metrics."""
    if not options.runs:
        raise ConfigError(f"name a run: {program('runs')} show ALG/ENV/NUMBER. See: {program('runs')} list")
    for run in needed(options, 1):
        rows = read_metrics_safely(run)
        last: dict[str, float] = {}
        for row in rows:
            last |= {name: value for name, value in row.items() if value is not None}
        repositories = run.run["experiment"].get("repositories") or [{}]
        files = sorted(path.name for path in run.folder.iterdir())
        entries = {
            "run": run.folder,
            "status": run.status,
            "started": f"{run.started} UTC on {run.run['host']['hostname']}",
            "ended": str(run.run.get("stop_time") or "")[:16].replace("T", " "),
            "commit": repositories[0].get("commit", "unknown"),
            "continues": run.run.get("continues", ""),
            "settings": " ".join((run.run["meta"].get("options") or {}).get("UPDATE") or ["as in the YAML files"]),
            "metrics": f"{len(rows)} rows, {len(last)} names",
            "files": " ".join(files),
        }
        for label, entry in entries.items():
            if entry != "":
                print(f"{label + ':':<11}{entry}")
        for name, value in sorted(last.items()):
            print(f"  {name:<32}{value:>16,.6g}")
        for line in (run.run.get("fail_trace") or [])[-1:]:
            print(f"failed:    {line.strip()}")
        print()


def compare_runs(options: argparse.Namespace) -> None:
    """A table of the settings in which runs differ, with their last metrics."""
    runs = needed(options, 2)
    lines = [["", *[run.name for run in runs]]]
    for key, settings in sorted(differences(*(run.config for run in runs), absent="-").items()):
        lines.append([key, *map(str, settings)])
    names = list(dict.fromkeys([*SHOWN.values(), *options.metric]))
    values = [run.last_values(names) for run in runs]
    lines.append(["status", *[run.status for run in runs]])
    for name in ("step", *names):
        if any(name in value for value in values):
            lines.append([name, *[f"{value[name]:,.6g}" if name in value else "-" for value in values]])
    print_columns(lines, n_left=1)


def plot_runs(options: argparse.Namespace) -> None:
    """Learning curves: one line a configuration, its mean over seeds, with a 95 % bootstrap interval."""
    from bn_mappo.analysis.curves import draw_curves, gather

    runs, continued = without_continued(needed(options, 1))
    if continued:
        print(f"left out, for a resumed run repeats their rows: {', '.join(run.name for run in continued)}")
    curves = gather(runs, options.metric or "test_return_mean", options.by)
    path = draw_curves(
        curves, options.metric or "test_return_mean", options.output or options.results / "figures" / "curves.png"
    )
    for curve in curves:
        end = f"{curve.mean[-1]:.3f} [{curve.low[-1]:.3f}, {curve.high[-1]:.3f}]"
        print(f"{curve.label}: {curve.n_seeds} seeds, {end} at step {curve.steps[-1]:,.0f}")
    print(f"Picture:  {path}")


Command = Callable[[argparse.Namespace], None]
COMMANDS: dict[str, Command] = {"list": list_runs, "show": show_runs, "compare": compare_runs, "plot": plot_runs}


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=program("runs"), description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|show|compare|plot")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=(command.__doc__ or "").replace("%", "%%"),
            description=command.__doc__,
            epilog=EXAMPLES,
            formatter_class=raw,
        )
        add_selection(sub)
        if name in ("list", "compare"):
            sub.add_argument("--metric", action="append", default=[], help="one more metric to show; may be repeated")
        if name == "list":
            sub.add_argument(
                "--sort", default="started", help="a metric, or started (default); the largest stands last"
            )
            sub.add_argument("--limit", type=int, default=0, help="only the last so many")
        if name == "plot":
            sub.add_argument("--metric", help="what to draw (default: test_return_mean)")
            sub.add_argument(
                "--by", help="keys that make a line, such as name,dag.generator (default: all that differ)"
            )
            sub.add_argument(
                "--output", type=Path, help="file to write (default: results/figures/curves.png); .pdf works"
            )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0. Exit status 2 with one message for a user's mistake."""
    options = make_parser().parse_args(arguments)
    try:
        if getattr(options, "limit", 0) < 0:
            raise ConfigError(f"--limit {options.limit}: give a number of at least 1")
        COMMANDS[options.command](options)
    except ConfigError as error:
        fail(error, 2)
    except BrokenPipeError:  # such as | head
        sys.stderr.close()
    return 0

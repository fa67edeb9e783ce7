"""Command line: bn-mappo export RUN --output DIR writes one self-contained folder per agent (docs/export.md)."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.program import program

DESCRIPTION = """Exports the greedy policy of a recorded run: for each agent a folder with its network and
contract.json, and for the team a parity report, its return and a model card. A policy whose DAG has edges needs
messages; it is exported with --allow-communication alone."""


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog=program("export"), description=DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or a checkpoint file")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--format", choices=("onnx", "torch"), default="onnx", help="default: onnx (opset 18)")
    parser.add_argument("--allow-communication", action="store_true", help="export senders and receivers of messages")
    parser.add_argument("--step", type=int, default=0, help="which checkpoint, in environment steps (default: latest)")
    parser.add_argument("--steps", type=int, default=10_000, help="recorded steps to compare (default: 10000)")
    parser.add_argument("--games", type=int, default=200, help="games of the return (default: 200)")
    return parser


def export(options: argparse.Namespace) -> None:
    """Export, and print what came of it."""
    for flag, given, least in (
        ("--steps", options.steps, 1),
        ("--games", options.games, 2),
        ("--step", options.step, 0),
    ):
        if given < least:
            raise ConfigError(f"{flag} {given}: give at least {least}")
    from bn_mappo.api import load_run
    from bn_mappo.export.folder import Plan, export_run

    run = load_run(options.run, options.step)
    plan = Plan(options.format, options.allow_communication, options.steps, options.games)
    made = export_run(run, options.output, plan)
    report, outcome = made.report, made.report["return"]
    print(
        f"{run.setup.info.n_agents} agents, {'with' if made.communicates else 'without'} communication: {made.folder}"
    )
    print(
        f"  {report['steps']:,} recorded steps: {report['equal_actions']:.4%} equal actions, {report['ties']} ties, "
        f"logits differ by at most {report['largest_logit_difference']:.2g}"
    )
    for name in ("exported", "checkpoint"):
        summary = outcome[name]
        print(f"  return of the {name:<11} {summary['mean']:.4g} [{summary['low']:.4g}, {summary['high']:.4g}]")
    print(f"  {outcome['games_with_equal_return']} of {outcome['games']} games ended with the same return")
    quoted = shlex.quote(str(made.folder))
    print(f"Evaluate:  {program('import')} {quoted}\nPlay:      {program('play')} {quoted}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one message for a user's mistake."""
    options = make_parser().parse_args(arguments)
    try:
        export(options)
    except (ConfigError, OSError) as error:
        fail(error, 2)
    return 0

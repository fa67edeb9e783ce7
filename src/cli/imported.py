"""Command line: bn-mappo import DIR evaluates an exported folder as any other policy (docs/export.md)."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.program import program


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog=program("import"), description="Plays games with an exported team, and prints what they came to."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="what bn-mappo export has written")
    parser.add_argument("--games", type=int, default=200, help="default: 200")
    parser.add_argument("--sampled", action="store_true", help="sample actions; default: the likeliest ones")
    parser.add_argument("--seed", type=int, help="of the games (default: the run's)")
    return parser


def evaluate(options: argparse.Namespace) -> None:
    """Play, and print means and intervals."""
    if options.games < 1:
        raise ConfigError(f"--games {options.games}: give at least 1")
    from bn_mappo.analysis.report import report_evaluation
    from bn_mappo.export.games import exported_config, play
    from bn_mappo.export.team import ExportedTeam

    team = ExportedTeam(options.folder)
    config = replace(exported_config(team.about), test_greedy=not options.sampled)
    if options.seed is not None:
        config = replace(config, seed=options.seed)
    episodes = play(config, team, options.games, int(team.about["trained_steps"]), greedy=config.test_greedy)
    report_evaluation(episodes, config, options.folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one message for a user's mistake."""
    options = make_parser().parse_args(arguments)
    try:
        evaluate(options)
    except (ConfigError, OSError) as error:
        fail(error, 2)
    return 0

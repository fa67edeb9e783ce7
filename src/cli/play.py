"""Command line: bn-mappo play DIR plays an exported team, with one process per agent (docs/export.md)."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bn_mappo.core.errors import ConfigError, RunError, fail
from bn_mappo.core.program import program

if TYPE_CHECKING:
    from bn_mappo.export.measuring import Played, Setting

DESCRIPTION = """Plays games with an exported team: every agent in a process of its own on onnxruntime alone, the
environment in this one. A communicating team sends its messages along the edges of the DAG only, parents before
children. The DAG needs the joint observation: the coordinator in this process computes it, or, with --dag-by agents,
every agent does, from the observations that all send to all. With several --message-loss, --action-loss or --delay-ms
a table and a picture show the return against each."""


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog=program("play"), description=DESCRIPTION)
    parser.add_argument("folder", type=Path, metavar="DIR", help="what bn-mappo export has written")
    parser.add_argument("--games", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument(
        "--agents", type=Path, metavar="FILE", help="agents.json of bn-mappo serve; default: start them"
    )
    parser.add_argument("--simulate", action="store_true", help="in this process alone: the same losses, much faster")
    parser.add_argument(
        "--dag-by", choices=("coordinator", "agents"), default="coordinator", help="who computes the DAG"
    )
    parser.add_argument("--patience-ms", type=int, default=50, help="to wait for each round of messages (default: 50)")
    parser.add_argument("--missing-message", choices=("none", "last"), default="none", help="what stands for one")
    parser.add_argument("--missing-action", choices=("last", "first"), default="last", help="what stands for one")
    parser.add_argument("--message-loss", type=float, nargs="+", default=[0.0], metavar="P", help="probabilities")
    parser.add_argument("--action-loss", type=float, nargs="+", default=[0.0], metavar="P", help="probabilities")
    parser.add_argument(
        "--delay-ms", type=float, nargs="+", default=[0.0], metavar="MS", help="means of message delays"
    )
    parser.add_argument("--dead-agent", type=int, default=-1, metavar="I", help="this one ends, and does not come back")
    parser.add_argument("--dead-step", type=int, default=0, metavar="T", help="when, in steps of the session")
    parser.add_argument("--seed", type=int, default=0, help="of the faults (default: 0)")
    parser.add_argument("--output", type=Path, help="folder for table and picture (default: DIR/played)")
    return parser


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be, before anything starts."""
    if options.games < 1 or options.patience_ms < 1:
        raise ConfigError(f"--games {options.games}, --patience-ms {options.patience_ms}: give at least 1")
    for flag, values in (("--message-loss", options.message_loss), ("--action-loss", options.action_loss)):
        for value in values:
            if not 0 <= value <= 1:
                raise ConfigError(f"{flag} {value:g}: a probability lies between 0 and 1")
    for value in options.delay_ms:
        if not 0 <= value < 60_000:
            raise ConfigError(f"--delay-ms {value:g}: give milliseconds, fewer than 60000")
    if options.agents is not None and (options.simulate or has_faults(options)):
        raise ConfigError("--agents: faults are put into agents that this command starts itself, or into a simulation")
    if options.dead_step < 0 or options.dead_agent < -1:
        raise ConfigError(f"--dead-agent {options.dead_agent} --dead-step {options.dead_step}: give numbers from 0 on")


def has_faults(options: argparse.Namespace) -> bool:
    """Whether anything is to go wrong."""
    return any((*options.message_loss, *options.action_loss, *options.delay_ms)) or options.dead_agent >= 0


def run(options: argparse.Namespace) -> None:
    """Play, print, write."""
    check(options)
    from bn_mappo.export import measuring
    from bn_mappo.export.remote import Waiting
    from bn_mappo.export.runtime.agent import Conduct
    from bn_mappo.export.runtime.faults import Faults
    from bn_mappo.export.team import read_team

    n_agents = len(read_team(options.folder)["agents"])
    if options.dead_agent >= n_agents:
        raise ConfigError(f"--dead-agent {options.dead_agent}: the agents are 0 to {n_agents - 1}")
    waiting = Waiting(options.patience_ms, options.missing_action, options.dag_by)
    setting = measuring.Setting(
        options.folder, Conduct(missing_message=options.missing_message), waiting, options.games
    )
    first = (options.message_loss[0], options.action_loss[0], options.delay_ms[0])
    base = Faults(
        message_loss=first[0],
        action_loss=first[1],
        delay_ms=first[2],
        dead_agent=options.dead_agent,
        dead_tick=options.dead_step,
        seed=options.seed,
    )
    plan = measuring.ways(base, options.message_loss[1:], options.action_loss[1:], options.delay_ms[1:])
    played = []
    for faults in plan:
        played.append(play_once(setting, faults, options))
        print_outcome(played[-1])
    if len(played) > 1:
        folder: Path = options.output or options.folder / "played"
        table = measuring.write_table(played, folder / "faults.csv")
        way = "simulated" if options.simulate else "one process per agent"
        title = f"{options.folder.resolve().name}: {options.games} games a point, {way}, bars: 95 % intervals"
        print(f"Table:    {table}\nPicture:  {measuring.draw(played, folder / 'faults.png', title)}")


def read_agents(path: Path) -> list[dict[str, str]]:
    """The running agents that a file of `serve` names; ConfigError where it does not."""
    try:
        agents: list[dict[str, str]] = json.loads(path.read_text())["agents"]
        return agents
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--agents {path}: not a file that {program('serve')} wrote ({error})") from None


def play_once(setting: "Setting", faults: "object", options: argparse.Namespace) -> "Played":
    """The games of one row of the table."""
    from bn_mappo.export import measuring
    from bn_mappo.export.runtime.faults import Faults
    from bn_mappo.export.runtime.process import read_token

    assert isinstance(faults, Faults)
    if options.simulate:
        return measuring.simulate(setting, faults)
    if options.agents is None:
        return measuring.play_in_processes(setting, faults)
    addresses = [entry["address"] for entry in read_agents(options.agents)]
    return measuring.play_against(setting, addresses, read_token().decode(), faults, stop_agents=False)


def print_outcome(played: "Played") -> None:
    """A line or two."""
    from bn_mappo.export.parity import summary

    faults, outcome = played.faults, summary(played.episodes["return"])
    words = [f"messages lost {faults.message_loss:.0%}", f"actions lost {faults.action_loss:.0%}"]
    words += [f"delay {faults.delay_ms:g} ms"] if faults.delay_ms else []
    words += [f"agent {faults.dead_agent} dead from step {faults.dead_tick}"] if faults.dead_agent >= 0 else []
    interval = f"{outcome['mean']:.4g} [{outcome['low']:.4g}, {outcome['high']:.4g}]"
    print(f"{', '.join(words)}: return {interval}, {len(played.episodes['return'])} games", flush=True)
    if played.counts:
        print("  " + ", ".join(f"{name} {n:,}" for name, n in sorted(played.counts.items())), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 2 with one message for a user's mistake, 1 where the agents cannot be reached."""
    options = make_parser().parse_args(arguments)
    try:
        run(options)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except (ConfigError, OSError, KeyError, ValueError) as error:
        fail(error, 2)
    return 0

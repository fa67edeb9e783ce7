"""Return of an exported team against what goes wrong: in processes, or simulated in one."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from bn_mappo.config.schema import Config
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array
from bn_mappo.export.games import exported_config, play
from bn_mappo.export.launch import Agents, new_token
from bn_mappo.export.parity import summary
from bn_mappo.export.remote import RemoteTeam, Waiting
from bn_mappo.export.runtime.agent import Conduct
from bn_mappo.export.runtime.faults import Faults
from bn_mappo.export.simulation import FaultyTeam
from bn_mappo.export.team import read_team

mpl.use("Agg")


class Played(NamedTuple):
    """What some games under one set of faults came to."""

    faults: Faults
    episodes: dict[str, Array]
    counts: dict[str, int]  # empty where it was simulated


class Setting(NamedTuple):
    """An exported team, and how it is played."""

    folder: Path
    conduct: Conduct
    waiting: Waiting
    n_games: int


def simulate(setting: Setting, faults: Faults) -> Played:
    """In this process, many games at once."""
    conduct, waiting = setting.conduct, setting.waiting
    if waiting.dag_by == "agents":
        raise ConfigError("--simulate: agents that compute the DAG themselves run in processes of their own only")
    team = FaultyTeam(
        setting.folder, faults, conduct.missing_message, waiting.missing_action, float(waiting.patience_ms)
    )
    config, steps = exported_config(team.about), int(team.about["trained_steps"])
    return Played(faults, play(config, team, setting.n_games, steps), {})


def play_in_processes(setting: Setting, faults: Faults) -> Played:
    """One process per agent, started for these games; an agent that is to die is killed."""
    token, conduct = new_token(), replace(setting.conduct, faults=faults, dag_by=setting.waiting.dag_by)
    with Agents(setting.folder, token, conduct) as agents:

        def kill(tick: int) -> None:
            if faults.dead_agent >= 0 and tick == faults.dead_tick:
                agents.kill(faults.dead_agent)

        return play_against(setting, agents.addresses, token, faults, kill)


def play_against(
    setting: Setting,
    addresses: Sequence[str],
    token: str,
    faults: Faults,
    on_tick: Callable[[int], None] = lambda tick: None,
    stop_agents: bool = True,
) -> Played:
    """Games with agents that listen at these addresses."""
    about = read_team(setting.folder)
    config: Config = exported_config(about)
    team = RemoteTeam(setting.folder, addresses, token.encode(), setting.waiting, on_tick)
    try:
        episodes = play(config, team, setting.n_games, int(about["trained_steps"]), at_once=1)
        return Played(faults, episodes, team.counts())
    finally:
        team.close(stop_agents)


def ways(
    base: Faults, losses: Sequence[float], action_losses: Sequence[float], delays: Sequence[float]
) -> list[Faults]:
    """The faults to play under: those of `base`, and each of the given ones alone."""
    make = partial(replace, base)
    found = [base]
    found += [make(message_loss=loss) for loss in losses if loss != base.message_loss]
    found += [make(action_loss=loss) for loss in action_losses if loss != base.action_loss]
    return found + [make(delay_ms=delay) for delay in delays if delay != base.delay_ms]


COLUMNS = ("message_loss", "action_loss", "delay_ms", "dead_agent", "games", "return", "low", "high")


def rows(played: Sequence[Played]) -> list[tuple[float, ...]]:
    """A row of COLUMNS for each."""
    found: list[tuple[float, ...]] = []
    for each in played:
        faults, outcome = each.faults, summary(each.episodes["return"])
        what = (faults.message_loss, faults.action_loss, faults.delay_ms, faults.dead_agent)
        found.append((*what, len(each.episodes["return"]), outcome["mean"], outcome["low"], outcome["high"]))
    return found


def write_table(played: Sequence[Played], path: Path) -> Path:
    """faults.csv."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows(played)])
    return path


def draw(played: Sequence[Played], path: Path, title: str) -> Path:
    """Return against each kind of fault, in a panel of its own, with 95 % intervals over games."""
    labels = {"message_loss": "messages lost", "action_loss": "actions lost", "delay_ms": "mean delay of a message, ms"}
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows(played)]
    quiet = dict.fromkeys(labels, 0.0)
    panels = {
        name: [row for row in table if all(row[other] == quiet[other] for other in labels if other != name)]
        for name in labels
    }
    shown = {name: sorted(found, key=lambda row: row[name]) for name, found in panels.items() if len(found) > 1}
    figure = Figure(figsize=(4.2 * max(len(shown), 1), 3.4), layout="constrained")
    for axis, (name, found) in zip(
        figure.subplots(1, max(len(shown), 1), squeeze=False)[0], shown.items(), strict=False
    ):
        x, mean = [row[name] for row in found], [row["return"] for row in found]
        below = [row["return"] - row["low"] for row in found]
        above = [row["high"] - row["return"] for row in found]
        axis.errorbar(x, mean, [below, above], marker="o", markersize=4, capsize=3, linewidth=1.4)
        axis.set_xlabel(labels[name])
        axis.set_ylabel("return of a game")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=130)
    return path

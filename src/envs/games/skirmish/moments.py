"""A battle as it stands at one moment, for pictures, and what lies between two of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish.battles import Battles

MARGIN, LEAST_VIEW = 1.8, (16.0, 9.0)  # cells around the living; least width and height of what is shown


class View(NamedTuple):
    """A part of the map, in cells."""

    left: float
    right: float
    bottom: float
    top: float


class Moment(NamedTuple):
    """One battle as it stands; U units, the first N are the agents."""

    map_name: str
    step: int  # steps played
    outcome: str  # empty while the battle goes on
    walkable: Array  # [size, size] bool
    n_agents: int
    kinds: list[str]  # of the U units: names of their types
    position: Array  # [U, 2] cells
    radius: Array  # [U] cells; of the circle that keeps others off
    is_above: Array  # [U] bool: units on the ground pass under it
    health: Array  # [U] share of full health; 0: dead
    shield: Array  # [U] share of the full shield
    has_shield: Array  # [U] bool
    is_healer: Array  # [U] bool
    shot_at: Array  # [U] whom each shot or healed last in the step before, -1: none
    target: Array  # [U] whom each is ordered to attack or heal, -1: none
    goal: Array  # [U, 2] where it goes, nan: nowhere


def moment(game: Battles, b: int = 0) -> Moment:
    """Game b as it stands; one that has just restarted as it ended, where its ends are kept (`game.ended`)."""
    core, n_agents = game.core, game.info.n_agents
    game_map, trait = game.cast(b)
    units, marks, clock, outcome = game.units, game.marks, game.clock, ""
    if game.ended is not None and game.clock[b] == 0:
        units, marks, clock = game.ended
        names = {core.WON: "won", core.LOST: "lost", core.DRAWN: "both sides are gone"}
        outcome = names.get(int(game.outcome[b]), "time is up")
    unit, mark = units[b].copy(), marks[b].copy()
    is_alive = unit[core.HEALTH] > 0
    goal = np.where(mark[core.HAS_GOAL] > 0, unit[[core.GOAL_X, core.GOAL_Y]], np.nan).T
    return Moment(
        game_map.name,
        int(clock[b]),
        outcome,
        game_map.walkable,
        n_agents,
        [name for _, name, _ in (*game_map.allies, *game_map.enemies)],
        unit[[core.X, core.Y]].T,
        trait[core.SEPARATION],
        np.array(["ground" not in unit.collides for unit, _, _ in (*game_map.allies, *game_map.enemies)]),
        unit[core.HEALTH] / trait[core.MAX_HEALTH],
        unit[core.SHIELD] / np.maximum(trait[core.MAX_SHIELD], 1.0),
        trait[core.MAX_SHIELD] > 0,
        trait[core.HEAL] > 0,
        mark[core.SHOT_AT],
        np.where(is_alive, mark[core.TARGET], -1),
        goal,
    )


def between(first: Moment, second: Moment, share: float) -> Moment:
    """What lies between two moments that follow each other, for a smoother animation; share in (0, 1]."""
    if share >= 1:
        return second
    position = (1 - share) * first.position + share * second.position
    return second._replace(position=position, health=first.health, shield=first.shield, outcome="")


def view_of(moments: Sequence[Moment]) -> View:
    """The part of the map in which all that live in these moments are to be seen."""
    living = np.concatenate([now.position[now.health > 0] for now in moments])  # [K, 2]
    size = float(len(moments[0].walkable))
    sides = []
    for least, places in zip(LEAST_VIEW, living.T, strict=True):
        low, high = places.min() - MARGIN, places.max() + MARGIN
        more = max(least - (high - low), 0.0) / 2
        sides += [max(low - more, 0.0), min(high + more, size)]
    return View(*sides)


def counts(now: Moment) -> tuple[int, int, int, int]:
    """Living agents, agents, living enemies, enemies."""
    n_units, is_alive = len(now.health), now.health > 0
    living = int(is_alive[: now.n_agents].sum())
    return living, now.n_agents, int(is_alive.sum()) - living, n_units - now.n_agents

"""A map as the arrays that the compiled core reads: per unit, per pair of units, and per cell."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish import core
from bn_mappo.envs.games.skirmish.data import Map, Point, Rules, UnitType
from bn_mappo.envs.games.skirmish.formation import place_side

Start = Literal["random", "fixed"]  # where the units of a clump start: anywhere in a disc, or as formation.py says
CLUMP = 1.1  # radius of a clump of units at the start, times the square root of the sum of their squared radii
EXCHANGED = ["stalker", "zealot"]  # SMAC gives the enemies of maps with these types each other's one-hot codes


class Tables(NamedTuple):
    """core.py names the rows."""

    kind: Array  # [U] int64: place of the type in the one-hot code
    trait: Array  # [traits, U]
    pair: Array  # [pairs, U, U]
    rule: Array  # [rules]
    goal: Array  # [2, goals]: where scripted allies and enemies go
    walkable: Array  # [SIZE, SIZE] bool
    near_wall: Array  # [SIZE, SIZE] bool: a neighbouring cell is not walkable


def make_tables(
    game_map: Map,
    move_amount: float,
    start: Start = "random",
    start_grid: float = 0.5,
    exchanges_enemy_types: bool = False,
    answers_attacks: bool = True,
) -> Tables:
    """All arrays of a map; `move_amount` and `start_grid` in cells."""
    units = [unit for unit, _, _ in (*game_map.allies, *game_map.enemies)]
    names = [name for _, name, _ in (*game_map.allies, *game_map.enemies)]
    kind = np.array([game_map.unit_types.index(name) if game_map.unit_types else 0 for name in names])
    if exchanges_enemy_types and game_map.unit_types == EXCHANGED:
        kind[len(game_map.allies) :] = 1 - kind[len(game_map.allies) :]
    blocked = ~np.pad(game_map.walkable, 1)
    size = len(game_map.walkable)
    near_wall = np.zeros_like(game_map.walkable)
    for i in range(3):
        for j in range(3):
            near_wall |= blocked[i : i + size, j : j + size]
    return Tables(
        kind,
        _traits(game_map, units, start, start_grid),
        _pairs(game_map, units),
        _rules(game_map.rules, move_amount, answers_attacks),
        _goals(game_map),
        game_map.walkable,
        near_wall,
    )


def _spawn_radii(side: Sequence[tuple[UnitType, str, Point]]) -> list[float]:
    """The radius of the clump that each unit starts in; all units of a side that start at one point are one clump."""
    areas: dict[tuple[float, ...], float] = {}
    for unit, _, at in side:
        areas[tuple(at)] = areas.get(tuple(at), 0.0) + unit.radius**2
    return [CLUMP * areas[tuple(at)] ** 0.5 for _, _, at in side]


def _traits(game_map: Map, units: list[UnitType], start: Start, start_grid: float) -> Array:
    loops = game_map.rules.clock.loops_per_second
    places = [at for _, _, at in (*game_map.allies, *game_map.enemies)]
    spawn_radii = _spawn_radii(game_map.allies) + _spawn_radii(game_map.enemies)
    if start == "fixed":
        places = [place for side in (0, 1) for place in place_side(game_map, side, start_grid)]
        spawn_radii = [0.0] * len(places)
    lines = [u.weapon.line if u.weapon else None for u in units]
    columns = {
        "radius": [u.radius for u in units],
        "separation": [u.separation_radius for u in units],
        "max_health": [u.health for u in units],
        "max_shield": [u.shield for u in units],
        "max_energy": [u.energy.maximum if u.energy else 0.0 for u in units],
        "start_energy": [u.energy.start if u.energy else 0.0 for u in units],
        "armour": [u.armour for u in units],
        "step": [u.speed / loops for u in units],
        "acceleration": [(u.acceleration or 0.0) / loops**2 for u in units],
        "regeneration": [u.health_regeneration / loops for u in units],
        "energy_regeneration": [u.energy.regeneration / loops if u.energy else 0.0 for u in units],
        "period": [u.weapon.period * loops if u.weapon else 0.0 for u in units],
        "damage_point": [u.weapon.damage_point * loops if u.weapon else 0.0 for u in units],
        "hits_now": [u.weapon.hits_now if u.weapon else 0 for u in units],
        "hits_later": [len(u.weapon.hits) - u.weapon.hits_now if u.weapon else 0 for u in units],
        "delay": [max(u.weapon.hits) * loops if u.weapon else 0.0 for u in units],
        "missile_step": [(u.weapon.missile_speed or 0.0) / loops if u.weapon else 0.0 for u in units],
        "is_channelled": [u.weapon is not None and u.weapon.is_channelled for u in units],
        "is_air": [u.is_air for u in units],
        "heal": [u.heal.rate / loops if u.heal else 0.0 for u in units],
        "health_per_energy": [u.heal.health_per_energy if u.heal else 0.0 for u in units],
        "line_length": [line.length if line else 0.0 for line in lines],
        "line_width": [line.width if line else 0.0 for line in lines],
        "state_scale": [u.max_cooldown for u in units],
        "spawn_x": [at[0] for at in places],
        "spawn_y": [at[1] for at in places],
        "spawn_radius": spawn_radii,
    }
    return np.array([columns[name] for name in core.TRAITS], dtype=np.float64)


def _pairs(game_map: Map, units: list[UnitType]) -> Array:
    """Squared distances between centres, and damage of a hit; zero where u has nothing for v, or cannot touch it."""
    n_agents, rules = len(game_map.allies), game_map.rules
    pair = np.zeros((len(core.PAIRS), len(units), len(units)))
    for u, unit in enumerate(units):
        for v, other in enumerate(units):
            is_foe = (u < n_agents) != (v < n_agents)
            radii, slop = unit.radius + other.radius, 0.0
            if set(unit.collides) & set(other.collides):
                pair[core.TOUCH, u, v] = (unit.separation_radius + other.separation_radius) ** 2
            if unit.weapon and is_foe and ("air" if other.is_air else "ground") in unit.weapon.targets:
                bonus = sum(unit.weapon.bonus.get(attribute, 0.0) for attribute in other.attributes)
                pair[core.HIT, u, v] = unit.weapon.damage + bonus
                length = unit.weapon.range
                slop = rules.range_slop if unit.weapon.range_slop is None else unit.weapon.range_slop
            elif unit.heal and not is_foe and not other.heal and "biological" in other.attributes:
                length = unit.heal.range
            else:
                continue
            pair[core.REACH, u, v] = (length + radii) ** 2
            pair[core.HOLD, u, v] = (length + slop + radii) ** 2
            pair[core.ACQUIRE, u, v] = (max(rules.least_scan_range, length) + radii) ** 2
    return pair


def _rules(rules: Rules, move_amount: float, answers_attacks: bool) -> Array:
    loops = rules.clock.loops_per_second
    low, high = rules.weapon_jitter
    values = {
        "sight": rules.sight,
        "shoot_range": rules.shoot_range,
        "move_amount": move_amount,
        "shield_delay": rules.shield.delay * loops,
        "shield_regeneration": rules.shield.regeneration / loops,
        "jitter_low": low * loops,
        "jitter_span": (high - low) * loops,
        "least_damage": rules.least_damage,
        "follow_distance": rules.follow_distance,
        "largest_push": rules.largest_push,
        "answers_attacks": float(answers_attacks),
        "help_radius": rules.call_for_help.radius,
        "help_period": rules.call_for_help.period * loops,
    }
    return np.array([values[name] for name in core.RULES], dtype=np.float64)


def _goals(game_map: Map) -> Array:
    """Enemies go to the map's target; scripted allies, in tests, to where the enemies start."""
    start = np.mean([at for _, _, at in game_map.enemies], axis=0)
    target = game_map.data.enemy_target
    if target is None:
        return np.zeros((2, len(core.GOALS)))
    ends = np.array(target, dtype=np.float64).reshape(-1, 2)  # one point, or the two ends of a segment
    return np.array([[*start, 0.0, 0.0, 1.0], [*ends[0], *(ends[-1] - ends[0]), 1.0]])

"""A map as the arrays that the compiled core reads: per unit, per pair of units, and per cell."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish import core
from bn_mappo.envs.games.skirmish.data import Map, Point, Rules, UnitType

CLUMP = 1.1  # radius of a clump of units at the start, times the square root of the sum of their squared radii


class Tables(NamedTuple):
    """core.py names the rows."""

    kind: Array  # [U] int64: place of the type in the one-hot code
    trait: Array  # [traits, U]
    pair: Array  # [pairs, U, U]
    rule: Array  # [rules]
    goal: Array  # [2, 3]: where scripted allies and enemies go: x, y, whether there is such a place
    walkable: Array  # [SIZE, SIZE] bool
    near_wall: Array  # [SIZE, SIZE] bool: a neighbouring cell is not walkable


def make_tables(game_map: Map, move_amount: float) -> Tables:
    """All arrays of a map; `move_amount` in cells."""
    units = [unit for unit, _, _ in (*game_map.allies, *game_map.enemies)]
    names = [name for _, name, _ in (*game_map.allies, *game_map.enemies)]
    kind = np.array([game_map.unit_types.index(name) if game_map.unit_types else 0 for name in names])
    blocked = ~np.pad(game_map.walkable, 1)
    size = len(game_map.walkable)
    near_wall = np.zeros_like(game_map.walkable)
    for i in range(3):
        for j in range(3):
            near_wall |= blocked[i : i + size, j : j + size]
    return Tables(
        kind,
        _traits(game_map, units),
        _pairs(game_map, units),
        _rules(game_map.rules, move_amount),
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


def _traits(game_map: Map, units: list[UnitType]) -> Array:
    loops = game_map.rules.clock.loops_per_second
    both = [*game_map.allies, *game_map.enemies]
    columns = {
        "radius": [u.radius for u in units],
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
        "hits": [u.weapon.hits if u.weapon else 0 for u in units],
        "is_air": [u.is_air for u in units],
        "heal": [u.heal.rate / loops if u.heal else 0.0 for u in units],
        "health_per_energy": [u.heal.health_per_energy if u.heal else 0.0 for u in units],
        "splash": [u.weapon.splash_radius if u.weapon else 0.0 for u in units],
        "state_scale": [u.max_cooldown for u in units],
        "spawn_x": [at[0] for _, _, at in both],
        "spawn_y": [at[1] for _, _, at in both],
        "spawn_radius": _spawn_radii(game_map.allies) + _spawn_radii(game_map.enemies),
    }
    return np.array([columns[name] for name in core.TRAITS], dtype=np.float64)


def _pairs(game_map: Map, units: list[UnitType]) -> Array:
    """Squared distances between centres, and damage of a hit; zero where u has nothing for v, or cannot touch it."""
    n_agents, look = len(game_map.allies), game_map.rules.acquire
    pair = np.zeros((len(core.PAIRS), len(units), len(units)))
    for u, unit in enumerate(units):
        for v, other in enumerate(units):
            is_foe = (u < n_agents) != (v < n_agents)
            radii = unit.radius + other.radius
            if unit.is_air == other.is_air:
                pair[core.TOUCH, u, v] = radii**2
            if unit.weapon and is_foe and ("air" if other.is_air else "ground") in unit.weapon.targets:
                bonus = sum(unit.weapon.bonus.get(attribute, 0.0) for attribute in other.attributes)
                pair[core.HIT, u, v] = unit.weapon.damage + bonus
                length = unit.weapon.range
            elif unit.heal and not is_foe and not other.heal and "biological" in other.attributes:
                length = unit.heal.range
            else:
                continue
            pair[core.REACH, u, v] = (length + radii) ** 2
            pair[core.ACQUIRE, u, v] = (max(look.minimum, length + look.margin) + radii) ** 2
    return pair


def _rules(rules: Rules, move_amount: float) -> Array:
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
    }
    return np.array([values[name] for name in core.RULES], dtype=np.float64)


def _goals(game_map: Map) -> Array:
    """Enemies go to the map's target; scripted allies, in tests, to where the enemies start."""
    start = np.mean([at for _, _, at in game_map.enemies], axis=0)
    target = game_map.data.enemy_target
    return np.array([[*start, float(target is not None)], [*(target or (0.0, 0.0)), float(target is not None)]])

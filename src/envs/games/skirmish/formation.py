"""Where units start with start=fixed: one by one, each on the free spot of a grid that is nearest to its point.

The maps of the real game create all units of a side at one point, and the engine puts each on a place nearby that is
free. How it searches is not public: the grid and the order of the spots are a guess.
"""

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish.data import LARGEST_RADIUS, Map, Point

ROUNDING = 1e-9  # cells; units may touch


def place_side(game_map: Map, side: int, grid: float) -> list[Point]:
    """The places of the units of a side (0: allies, 1: enemies), in the order of their slots; `grid` in cells.

    Units are placed in the order in which the map creates them. A spot is free if no unit that was placed before and
    that collides with the new one is nearer than their separation radii together, and no wall nearer than its own.
    """
    units, created = (game_map.allies, game_map.enemies)[side], game_map.created[side]
    places = np.full((len(units), 2), np.inf)
    widest = max(unit.separation_radius for unit, _, _ in units)
    offsets = _offsets(2 * widest * (len(units) ** 0.5 + 1), grid)  # [K, 2]
    clearances = {tuple(point): _clearance(game_map.walkable, point + offsets) for _, _, point in units}
    for slot in created:
        unit, name, point = units[slot]
        spots = point + offsets
        is_free = unit.is_air | (clearances[tuple(point)] >= unit.separation_radius - ROUNDING)
        for k, (other, _, _) in enumerate(units):
            if set(unit.collides) & set(other.collides):
                touch = unit.separation_radius + other.separation_radius
                is_free &= np.linalg.norm(spots - places[k], axis=-1) >= touch - ROUNDING
        if not is_free.any():
            raise ConfigError(f"maps/{game_map.name}.yaml: {name} at {point} has no room with start=fixed")
        places[slot] = spots[is_free.argmax()]
    return [[float(x), float(y)] for x, y in places]


def _offsets(reach: float, grid: float) -> Array:
    """Points of a grid [K, 2] by rising distance, and from the east counter-clockwise where distances are equal."""
    n_steps = int(np.ceil(reach / grid))
    steps = grid * np.arange(-n_steps, n_steps + 1)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    order = np.lexsort((np.arctan2(y, x) % (2 * np.pi), np.round(x * x + y * y, 9)))
    return np.stack([x[order], y[order]], axis=-1)


def _clearance(walkable: Array, spots: Array) -> Array:
    """Distances [K] to the nearest cell that is not on the floor, at most LARGEST_RADIUS; 0 in such a cell."""
    blocked = ~np.pad(walkable, 2)
    cells = np.floor(spots).astype(int)
    nearest = np.full(len(spots), LARGEST_RADIUS)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            corner = cells + np.array([i, j])
            inside = np.clip(corner + 2, 0, len(blocked) - 1)
            gap = np.maximum(np.maximum(corner - spots, spots - corner - 1), 0.0)  # [K, 2]
            distance = np.where(blocked[inside[:, 0], inside[:, 1]], np.linalg.norm(gap, axis=-1), LARGEST_RADIUS)
            nearest = np.minimum(nearest, distance)
    return nearest

"""Widths of observation and state, and the switches that the compiled core fills them by: one description for both."""

from typing import NamedTuple

from bn_mappo.core.specs import EntityGroup
from bn_mappo.envs.games.skirmish.data import Map

MOVES, AROUND, SEEN = 4, 8, 4  # own moves; cells around; attackable or visible, distance, dx, dy
SEEN_AT = (0, 1)  # entries of an ally that tell whether it is visible, and its distance


class Shown(NamedTuple):
    """What observations and state hold, by EPyMARL's names."""

    obs_all_health: bool
    obs_own_health: bool
    obs_last_action: bool
    obs_pathing_grid: bool
    obs_timestep_number: bool
    state_last_action: bool
    state_timestep_number: bool
    obs_instead_of_state: bool


class Sizes(NamedTuple):
    """Numbers of entries."""

    n_actions: int
    obs: int
    state: int
    switches: dict[str, int]  # core.SHOWS
    entities: tuple[EntityGroup, ...]


def count(game_map: Map, shown: Shown) -> Sizes:
    """The widths that docs/environments.md lists field by field."""
    n_agents, n_enemies, n_types = len(game_map.allies), len(game_map.enemies), len(game_map.unit_types)
    ally_shields, enemy_shields = (int(race == "protoss") for race in game_map.races)
    n_actions = 2 + MOVES + n_enemies
    enemy = SEEN + n_types + shown.obs_all_health * (1 + enemy_shields)
    ally = SEEN + n_types + shown.obs_all_health * (1 + ally_shields) + shown.obs_last_action * n_actions
    own = n_types + shown.obs_own_health * (1 + ally_shields)
    moves = MOVES + shown.obs_pathing_grid * AROUND
    obs = moves + n_enemies * enemy + (n_agents - 1) * ally + own + shown.obs_timestep_number
    state = n_agents * (4 + ally_shields + n_types) + n_enemies * (3 + enemy_shields + n_types)
    state += shown.state_last_action * n_agents * n_actions + shown.state_timestep_number
    switches = {
        "all_health": shown.obs_all_health,
        "own_health": shown.obs_own_health,
        "obs_last_action": shown.obs_last_action,
        "pathing": shown.obs_pathing_grid,
        "obs_timestep": shown.obs_timestep_number,
        "state_last_action": shown.state_last_action,
        "state_timestep": shown.state_timestep_number,
        "n_types": n_types,
        "ally_shields": ally_shields,
        "enemy_shields": enemy_shields,
        "obs_instead_of_state": shown.obs_instead_of_state,
    }
    healers = tuple(k for k, (unit, _, _) in enumerate(game_map.allies) if unit.heal)
    fighters = tuple(k for k in range(n_agents) if k not in healers)
    first = n_actions - n_enemies
    entities = (
        EntityGroup("enemies", moves, n_enemies, enemy, first, fighters),
        EntityGroup("allies", moves + n_enemies * enemy, n_agents - 1, ally, first, healers, True, *SEEN_AT),
    )
    return Sizes(n_actions, obs, n_agents * obs if shown.obs_instead_of_state else state, switches, entities)

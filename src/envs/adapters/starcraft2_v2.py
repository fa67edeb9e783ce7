"""StarCraft II as SMACv2 plays it: new teams and starting points in each episode. Needs its package and the game."""

import re
from typing import Any

import numpy as np

from bn_mappo.core.errors import ConfigError, nearest
from bn_mappo.core.specs import Array, EntityGroup
from bn_mappo.envs.adapters.starcraft2 import RealGame, import_game_class
from bn_mappo.envs.adapters.starcraft2_install import SMACV2, explain, problems
from bn_mappo.envs.arguments import keyword_parameters
from bn_mappo.envs.packages import check_options
from bn_mappo.envs.smac_arguments import Difficulty

FLOOR = "32x32_flat"  # the file of all its maps
SIDE = 32  # of that map, in cells
WITHOUT = "--env-config=skirmish with env_args.teams=random (teams in the spirit of SMACv2, and not its own)"
TEAMS: dict[str, dict[str, float]] = {  # SMACv2's chances of each type of unit, by race
    "protoss": {"stalker": 0.45, "zealot": 0.45, "colossus": 0.1},
    "terran": {"marine": 0.45, "marauder": 0.45, "medivac": 0.1},
    "zerg": {"zergling": 0.45, "baneling": 0.1, "hydralisk": 0.45},
}
NOT_ALONE = {"terran": ["medivac"], "zerg": ["baneling"]}  # no team of these types alone


def capabilities(race: str, n_agents: int, n_enemies: int) -> dict[str, Any]:
    """SMACv2's distributions of teams and starting points: half of the episodes surrounded, half reflected."""
    team = {
        "dist_type": "weighted_teams",
        "unit_types": list(TEAMS[race]),
        "weights": list(TEAMS[race].values()),
        "observe": True,
        **({"exception_unit_types": NOT_ALONE[race]} if race in NOT_ALONE else {}),
    }
    starts = {"dist_type": "surrounded_and_reflect", "p": 0.5, "map_x": SIDE, "map_y": SIDE}
    return {"n_units": n_agents, "n_enemies": n_enemies, "team_gen": team, "start_positions": starts}


def read_map_name(map_name: str) -> tuple[str, int, int]:
    """Race and sizes of the teams of a name such as terran_5_vs_5."""
    found = re.fullmatch(r"([a-z]+)_([1-9]\d?)_vs_([1-9]\d?)", map_name)
    if found is None or found[1] not in TEAMS:
        guess = nearest(map_name, [f"{race}_{n}" for race in TEAMS for n in ("5_vs_5", "10_vs_10", "10_vs_11")])
        raise ConfigError(
            f"env_args.map_name={map_name}: a map of SMACv2 is RACE_N_vs_M, such as terran_5_vs_5, with a race of "
            f"{', '.join(TEAMS)}.{guess}"
        )
    return found[1], int(found[2]), int(found[3])


def entities_of(game: Any) -> tuple[EntityGroup, ...]:
    """What its observations show of enemies and allies, where all agents aim at enemies alone: no medivacs."""
    if game.map_type == "terran_gen":
        return ()
    (n_enemies, enemy), (n_allies, ally) = game.get_obs_enemy_feats_size(), game.get_obs_ally_feats_size()
    start, n_agents = int(game.get_obs_move_feats_size()), int(game.n_agents)
    everybody, first = tuple(range(n_agents)), int(game.n_actions_no_attack)
    return (
        EntityGroup("enemies", start, n_enemies, enemy, first, everybody),
        EntityGroup("allies", start + n_enemies * enemy, n_allies, ally, None, (), True, seen=0, distance=1),
    )


class StarCraft2V2(RealGame):
    """One real game with SMACv2's teams. Arguments that are not named here go to its package.

    Teams and starting points are drawn by the package, from generators that cannot be seeded.
    """

    def __init__(
        self,
        worker_seed: int,
        *,
        map_name: str = "terran_5_vs_5",
        step_mul: int = 8,
        move_amount: float = 2.0,
        difficulty: Difficulty = "7",
        game_version: str | None = None,
        seed: int | None = None,
        continuing_episode: bool = True,
        conic_fov: bool = False,
        num_fov_actions: int = 12,
        obs_own_pos: bool = True,
        use_unit_ranges: bool = True,
        min_attack_range: float = 2.0,
        state_last_action: bool = True,
        reward_sparse: bool = False,
        reward_only_positive: bool = True,
        replay_dir: str = "",
        replay_prefix: str = "",
        debug: bool = False,
        **options: Any,
    ):
        arguments = dict(locals())  # first of all: nothing but the parameters
        for ours in ("self", "worker_seed", "options", "map_name", "__class__"):
            arguments.pop(ours, None)
        race, n_agents, n_enemies = read_map_name(map_name)
        if missing := problems(FLOOR, SMACV2):
            raise ConfigError(f"env=sc2v2, but {explain(missing)}\nWithout the game: {WITHOUT}")
        make = import_game_class(SMACV2, "smacv2.env.starcraft2.wrapper", "StarCraftCapabilityEnvWrapper", WITHOUT)
        battle = import_game_class(SMACV2, "smacv2.env.starcraft2.starcraft2", "StarCraft2Env", WITHOUT)
        check_options("sc2v2", options, battle, keyword_parameters(StarCraft2V2))
        arguments |= {
            "map_name": f"10gen_{race}",  # which fixes the race alone
            "capability_config": capabilities(race, n_agents, n_enemies),
            "replay_prefix": replay_prefix or map_name,
            **options,
        }
        super().__init__(make, worker_seed, arguments, SMACV2, entities_of)

    def get_avail_actions(self) -> Array:
        rows = [self.game.get_avail_agent_actions(agent) for agent in range(self.info.n_agents)]
        return np.asarray(rows, dtype=bool)  # [N, A]

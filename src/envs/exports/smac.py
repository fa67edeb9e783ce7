"""Skirmish behind the class of the SMAC authors' package, for code that was written for `smac.env.StarCraft2Env`."""

from pathlib import Path
from typing import Any

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.envs.arguments import check_arguments
from bn_mappo.envs.exports.games import fresh_seed
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.games.skirmish.data import load_map
from bn_mappo.envs.vector.single import SingleGame

MAP_TYPES = {  # SMAC's words for the agents of a map
    "marine": "marines",
    "stalker": "stalkers",
    "zealot": "zealots",
    "hydralisk": "hydralisks",
    "stalker zealot": "stalkers_and_zealots",
    "marauder marine medivac": "MMM",
    "colossus stalker zealot": "colossi_stalkers_zealots",
}
RACES = {"terran": "T", "protoss": "P", "zerg": "Z"}
WITHOUT_WINDOW = ("window_size_x", "window_size_y")  # arguments of SMAC's that mean nothing here
STEP_MUL = 8  # game loops, where step_mul is None


class StarCraft2Env:
    """One battle of Skirmish with the methods of SMAC's class. Owns it. It is not StarCraft II.

    Arguments are SMAC's, with SMAC's defaults, and those of Skirmish besides, such as start and enemy_order
    (src/config/envs/skirmish.yaml). Shapes: N agents, A actions, D entries of an observation, S of the state.
    """

    def __init__(
        self, map_name: str = "8m", *, seed: int | None = None, continuing_episode: bool = False, **arguments: Any
    ):
        for name in WITHOUT_WINDOW:
            arguments.pop(name, None)
        if arguments.get("step_mul", 0) is None:
            arguments["step_mul"] = STEP_MUL
        checked = check_arguments("skirmish", Skirmish, {"map_name": map_name, **arguments})
        self._seed = fresh_seed() if seed is None else int(seed)
        self.make = lambda: Skirmish(1, self._seed, **checked)
        self.batched = self.make()
        self.game, info = SingleGame(self.batched), self.batched.info
        self.map_name, self.continuing_episode = map_name, continuing_episode
        self.n_agents, self.n_enemies = info.n_agents, len(self.batched.map.enemies)
        self.n_actions, self.episode_limit = info.n_actions, info.episode_limit
        self.n_actions_no_attack = self.n_actions - self.n_enemies
        self.shield_bits_ally, self.shield_bits_enemy = (int(race == "protoss") for race in self.batched.map.races)
        self.unit_type_bits = len(self.batched.map.unit_types)
        types = [f"type_{kind}" for kind in range(self.unit_type_bits)]
        places = ["rel_x", "rel_y"]  # of the state, before shields and types
        ally_shield, enemy_shield = (["shield"] * bits for bits in (self.shield_bits_ally, self.shield_bits_enemy))
        self.ally_state_attr_names = ["health", "energy/cooldown", *places, *ally_shield, *types]
        self.enemy_state_attr_names = ["health", *places, *enemy_shield, *types]
        self.next_seed: int | None = None
        self.battles_won = self.battles_game = self.timeouts = self.force_restarts = 0
        self.episodes: list[tuple[dict[str, Any], list[Array]]] = []  # the last two: how they began, and all actions

    def reset(self) -> tuple[list[Array], Array]:
        """Start an episode; returns its first observations and state."""
        self.game.reset(self.next_seed)
        self.next_seed = None
        self.episodes = [*[episode for episode in self.episodes if episode[1]][-1:], (self.batched.state_dict(), [])]
        return self.get_obs(), self.get_state()

    def step(self, actions: Any) -> tuple[float, bool, dict[str, Any]]:
        """Play the actions of all agents, [N] numbers; returns reward, terminated and info.

        Unlike our own environments: an episode that is cut off is terminated as well, and only says so
        (info["episode_limit"]) with continuing_episode=True.
        """
        if not self.episodes:
            raise ValueError("reset() comes before the first step()")
        joint = np.array([int(action) for action in actions])  # [N]
        for agent, (action, avail) in enumerate(zip(joint, self.get_avail_actions(), strict=True)):
            if not (0 <= action < self.n_actions and avail[action]):
                raise ValueError(f"agent {agent} cannot take action {action}: get_avail_actions() says what it can")
        reward, is_over, is_cut, facts = self.game.step(joint)
        self.episodes[-1][1].append(joint)
        if not facts:  # the battle goes on
            facts = {name: float(values[0]) for name, values in self.batched.episode_info().items()}
        info: dict[str, Any] = {"battle_won": bool(facts["battle_won"])}
        info |= {name: int(facts[name]) for name in ("dead_allies", "dead_enemies")}
        if is_over or is_cut:
            self.battles_game += 1
            self.battles_won += info["battle_won"]
            self.timeouts += is_cut
        if is_cut and self.continuing_episode:
            info["episode_limit"] = True
        assert isinstance(reward, float)
        return reward, is_over or is_cut, info

    def get_obs(self) -> list[Array]:
        """N arrays [D]."""
        return list(self.game.get_obs())

    def get_obs_agent(self, agent_id: int) -> Array:
        """[D]."""
        obs: Array = self.game.get_obs()[agent_id]
        return obs

    def get_obs_size(self) -> int:
        """D."""
        return self.batched.info.obs_dim

    def get_obs_move_feats_size(self) -> int:
        """Entries of an observation, from its beginning on, about the agent's own moves."""
        return self.batched.sizes.entities[0].start

    def get_obs_enemy_feats_size(self) -> tuple[int, int]:
        """The enemies, and the entries about each."""
        return self.batched.sizes.entities[0].size, self.batched.sizes.entities[0].width

    def get_obs_ally_feats_size(self) -> tuple[int, int]:
        """The other agents, and the entries about each."""
        return self.batched.sizes.entities[1].size, self.batched.sizes.entities[1].width

    def get_obs_own_feats_size(self) -> int:
        """Entries about the agent itself, at the end."""
        allies = self.batched.sizes.entities[1]
        return self.get_obs_size() - allies.start - allies.size * allies.width

    def get_state(self) -> Array:
        """[S]."""
        return self.game.get_state()

    def get_state_size(self) -> int:
        """S."""
        return self.batched.info.state_dim

    def get_avail_actions(self) -> list[list[int]]:
        """N lists of A zeros and ones."""
        avail = self.game.get_avail_actions()
        assert avail is not None
        lists: list[list[int]] = avail.astype(int).tolist()
        return lists

    def get_avail_agent_actions(self, agent_id: int) -> list[int]:
        """A zeros and ones."""
        return self.get_avail_actions()[agent_id]

    def get_total_actions(self) -> int:
        """A."""
        return self.n_actions

    def get_env_info(self) -> dict[str, Any]:
        """Sizes, by SMAC's names."""
        return {
            "state_shape": self.get_state_size(),
            "obs_shape": self.get_obs_size(),
            "n_actions": self.n_actions,
            "n_agents": self.n_agents,
            "n_enemies": self.n_enemies,
            "episode_limit": self.episode_limit,
            "agent_features": self.ally_state_attr_names,
            "enemy_features": self.enemy_state_attr_names,
        }

    def get_stats(self) -> dict[str, float]:
        """Battles since this game was made."""
        return {
            "battles_won": self.battles_won,
            "battles_game": self.battles_game,
            "battles_draw": self.timeouts,
            "win_rate": self.battles_won / max(self.battles_game, 1),
            "timeouts": self.timeouts,
            "restarts": self.force_restarts,
        }

    def save_replay(self) -> Path:
        """Write the present episode, or the one before where it has just begun, as an animation; returns its file.

        It is played once more, from its start and with the same actions. The folder is `replay_dir`, else the current
        one.
        """
        episode = next((episode for episode in reversed(self.episodes) if episode[1]), None)
        if episode is None:
            raise ValueError("there is nothing to replay before the first step()")
        from bn_mappo.envs.animation import keep  # here, for the plotting library takes seconds to import

        start, all_actions = episode
        game = self.make()
        film = game.film()
        game.load_state_dict(start)
        film.record(None)
        for joint in all_actions:
            game.step(joint[None])
            film.record(None)
        return keep(Path(film.replay_dir or "."), film.replay_name, film.animate)

    def seed(self, seed: int | None = None) -> int:
        """The seed of the generator; one that is given restarts it with the next reset()."""
        if seed is not None:
            self._seed = self.next_seed = int(seed)
        return self._seed

    def render(self) -> None:
        """As in SMAC, nothing: save_replay() makes an animation."""

    def full_restart(self) -> None:
        """Start anew, as SMAC does after a crash."""
        self.force_restarts += 1
        self.reset()

    def close(self) -> None:
        """End the game."""
        self.game.close()


def get_map_params(map_name: str) -> dict[str, Any]:
    """What SMAC's function of this name says of a map."""
    game_map = load_map(map_name)
    kinds = sorted({name for _, name, _ in game_map.allies})
    return {
        "n_agents": len(game_map.allies),
        "n_enemies": len(game_map.enemies),
        "limit": game_map.data.episode_limit,
        "a_race": RACES[game_map.races[0]],
        "b_race": RACES[game_map.races[1]],
        "unit_type_bits": len(game_map.unit_types),
        "map_type": MAP_TYPES.get(" ".join(kinds), "_and_".join(kinds)),
    }

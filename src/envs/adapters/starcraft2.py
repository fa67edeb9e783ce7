"""StarCraft II as the SMAC authors' package plays it. Needs that package and the game: docs/starcraft2.md."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bn_mappo.core.errors import ConfigError, WorkerError
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, EntityGroup, EnvInfo, EnvRecord
from bn_mappo.envs.adapters.starcraft2_install import SMAC, Package, describe_game, explain, game_folder, problems
from bn_mappo.envs.multiagentenv import EpisodeLostError, MultiAgentEnv
from bn_mappo.envs.smac_arguments import Difficulty, action_names

Backend = Literal["auto", "sc2", "skirmish"]
GAME = "sc2"  # key of the environments' registry
INFO_KEYS = ("battle_won", "dead_allies", "dead_enemies")
SEEDS = 2**31  # the game takes 32 bits
MOST_STARTS = 3  # of one episode, before the game counts as broken


def import_game_class(package: Package, module: str, name: str, without: str) -> Any:
    """The class MODULE.NAME; ConfigError where it cannot be imported. `without`: how to play without the game."""
    folder = game_folder()
    if folder is not None:
        os.environ["SC2PATH"] = str(folder)  # its package knows fewer of the usual folders
    try:
        game_class = getattr(importlib.import_module(module), name)
        flags = sys.modules.get("absl.flags")
        if flags is not None and not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # pysc2 refuses to start games before; our command line has none of its flags
        return game_class
    except Exception as error:  # protobuf, for one, raises TypeError where versions do not fit
        raise ConfigError(
            f"the package of the SMAC authors ({module}) cannot be imported: {type(error).__name__}: {error}\n"
            f"Install it with its requirements: {package.install}\nWithout the game: {without}"
        ) from error


def entities_of(game: Any) -> tuple[EntityGroup, ...]:
    """What its observations show of enemies and allies; the last agent of its maps with medivacs is the medivac."""
    n_agents = int(game.n_agents)
    (n_enemies, enemy), (n_allies, ally) = game.get_obs_enemy_feats_size(), game.get_obs_ally_feats_size()
    start, first = int(game.get_obs_move_feats_size()), int(game.n_actions_no_attack)
    n_healers = int(game.map_type == "MMM")
    fighters, healers = tuple(range(n_agents - n_healers)), tuple(range(n_agents - n_healers, n_agents))
    return (
        EntityGroup("enemies", start, n_enemies, enemy, first, fighters),
        EntityGroup("allies", start + n_enemies * enemy, n_allies, ally, first, healers, True, seen=0, distance=1),
    )


class RealGame(MultiAgentEnv):
    """One real game, played by a class with SMAC's interface. Owns its process, which the first `reset` starts.

    A game that crashes raises EpisodeLostError; its package has then started it anew.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        worker_seed: int,
        arguments: dict[str, Any],
        package: Package,
        entities: Callable[[Any], tuple[EntityGroup, ...]],
    ):
        """`arguments` go to `make`, with a few changes; `entities`: what the game's observations show, by kind."""
        seed, replay_prefix, replay_dir = (arguments[name] for name in ("seed", "replay_prefix", "replay_dir"))
        if os.path.basename(replay_prefix) != replay_prefix:
            raise ConfigError(
                f"env_args.replay_prefix={replay_prefix}: begins a file name; the folder is env_args.replay_dir"
            )
        move = arguments["move_amount"]
        self.limit_truncates = bool(arguments["continuing_episode"])
        self.replay_dir = os.path.abspath(replay_dir) if replay_dir else ""
        given = {
            **arguments,
            "seed": (worker_seed if seed is None else derive_seed(seed, worker_seed)) % SEEDS,
            "move_amount": int(move) if move == int(move) else move,  # also an index
            "continuing_episode": True,  # else the package does not tell a time limit from a lost battle
            "replay_dir": self.replay_dir,
        }
        try:
            self.game = make(**given)
        except (KeyError, TypeError, AssertionError) as error:
            raise ConfigError(
                f"the installed package of the SMAC authors refuses these env_args (map_name={given['map_name']}): "
                f"{error!r}"
            ) from error
        sizes = self.game.get_env_info()
        self.info = EnvInfo(
            n_agents=int(sizes["n_agents"]),
            n_actions=int(sizes["n_actions"]),
            obs_dim=int(sizes["obs_shape"]),
            state_dim=int(sizes["state_shape"]),
            episode_limit=int(sizes["episode_limit"]),
            masks_actions=True,
            entities=entities(self.game),
            record=EnvRecord(
                tuple(describe_game(arguments["game_version"], package).items()),
                (("real_game", 1.0),),
                restarts_metric="sc2_restarts",
                action_names=action_names(int(sizes["n_actions"]), self.game.n_actions_no_attack),
            ),
        )
        self.is_launched = False  # the game's process has been started
        self.is_fresh = False  # the game stands at the start of an episode
        self.n_ended = 0  # episodes that came to their end

    def reset(self, seed: int | None = None) -> None:
        """Start an episode. `seed` is ignored: the game takes one when it is launched, and then never again."""
        if self.is_fresh:
            return
        for _ in range(MOST_STARTS):
            if self.is_launched and self.n_ended == 0:
                self.game.close()  # until one episode has ended, the package launches a second game beside the first
            self.is_launched = True
            n_restarts = self.game.force_restarts
            self.game.reset()
            if self.game.force_restarts == n_restarts:  # else it crashed, and shows units of the game before
                self.is_fresh = True
                return
        raise WorkerError(f"StarCraft II crashed {MOST_STARTS} times while an episode was started")

    def step(self, actions: Array) -> tuple[float, bool, bool, dict[str, float]]:
        self.is_fresh = False
        reward, terminated, info = self.game.step(actions)
        if terminated and not info:
            raise EpisodeLostError("StarCraft II crashed")
        self.n_ended += terminated
        outcome = {name: float(info[name]) for name in INFO_KEYS if name in info}
        outcome["episode_limit"] = float(info.get("episode_limit", False))
        truncated = bool(outcome["episode_limit"]) and self.limit_truncates
        return float(reward), bool(terminated) and not truncated, truncated, outcome

    def get_obs(self) -> Array:
        return np.asarray(self.game.get_obs(), dtype=np.float32)  # [N, D]

    def get_state(self) -> Array:
        return np.asarray(self.game.get_state(), dtype=np.float32)  # [S]

    def get_avail_actions(self) -> Array:
        return np.asarray(self.game.get_avail_actions(), dtype=bool)  # [N, A]

    def get_stats(self) -> dict[str, float]:
        """Battles won, lost and drawn since this game was made; empty before one has ended."""
        try:
            return {name: float(value) for name, value in self.game.get_stats().items()}
        except ZeroDivisionError:  # it divides by the number of battles
            return {}

    def save_replay(self) -> str | None:
        """Write an .SC2Replay of all episodes since the game was launched; returns its folder."""
        if not self.is_launched:
            return None
        self.game.save_replay()
        return self.replay_dir or str((game_folder() or Path()) / "Replays")

    def close(self) -> None:
        self.game.close()


class StarCraft2(RealGame):
    """One real game on a map of SMAC.

    Keyword arguments are those of StarCraft2Env; src/config/envs/sc2.yaml explains them. `backend` has been settled
    before (adapters/backends.py).
    """

    def __init__(
        self,
        worker_seed: int,
        *,
        backend: Backend = "auto",
        map_name: str = "3m",
        step_mul: int = 8,
        move_amount: float = 2.0,
        difficulty: Difficulty = "7",
        game_version: str | None = None,
        seed: int | None = None,
        continuing_episode: bool = True,
        obs_all_health: bool = True,
        obs_own_health: bool = True,
        obs_last_action: bool = False,
        obs_pathing_grid: bool = False,
        obs_terrain_height: bool = False,
        obs_instead_of_state: bool = False,
        obs_timestep_number: bool = False,
        state_last_action: bool = True,
        state_timestep_number: bool = False,
        reward_sparse: bool = False,
        reward_only_positive: bool = True,
        reward_death_value: float = 10.0,
        reward_win: float = 200.0,
        reward_defeat: float = 0.0,
        reward_negative_scale: float = 0.5,
        reward_scale: bool = True,
        reward_scale_rate: float = 20.0,
        replay_dir: str = "",
        replay_prefix: str = "",
        window_size_x: int = 1920,
        window_size_y: int = 1200,
        heuristic_ai: bool = False,
        heuristic_rest: bool = False,
        debug: bool = False,
    ):
        arguments = dict(locals())  # first of all: nothing but the parameters
        for ours in ("self", "worker_seed", "backend", "__class__"):
            arguments.pop(ours, None)
        if missing := problems(map_name):
            raise ConfigError(f"env=sc2, but {explain(missing)}")
        make = import_game_class(SMAC, "smac.env", "StarCraft2Env", "env_args.backend=skirmish")
        super().__init__(make, worker_seed, arguments, SMAC, entities_of)

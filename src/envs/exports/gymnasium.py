"""Our games as a vector environment of Gymnasium: all agents of a game as one that acts for them. Needs gymnasium."""

from typing import Any

import numpy as np

from bn_mappo.core.specs import Array, Observation
from bn_mappo.envs.exports.games import make_games
from bn_mappo.envs.packages import import_package

vector = import_package("gymnasium.vector", __name__)
spaces = import_package("gymnasium.spaces", __name__)
VectorEnv: Any = vector.VectorEnv


class VectorGames(VectorEnv):
    """B games on arrays, stepped together. Owns them.

    An action is that of all agents, MultiDiscrete [N]; an observation a dictionary of `obs` [B, N, D], `state` [B, S]
    and, where the game masks actions, `avail_actions` [B, N, A] (int8). A game that has ended is reset in the same
    step (AutoresetMode.SAME_STEP): its last observation is infos["final_obs"][game], a dictionary of arrays without B,
    and facts of its episode, such as battle_won, are in infos["final_info"], [B] each; "_final_obs" and "_final_info"
    [B] say in which games.
    """

    def __init__(self, name: str, num_envs: int, seed: int | None = None, **env_args: Any):
        """name: skirmish, aloha or coordination_game; `env_args` as in src/config/envs/NAME.yaml."""
        self.games = make_games(name, num_envs, seed, env_args)
        self.num_envs, info = num_envs, self.games.info
        self.metadata = {"autoreset_mode": vector.AutoresetMode.SAME_STEP, "name": name}
        parts = {
            "obs": spaces.Box(-np.inf, np.inf, (info.n_agents, info.obs_dim), np.float32),
            "state": spaces.Box(-np.inf, np.inf, (info.state_dim,), np.float32),
        }
        if info.masks_actions:
            parts["avail_actions"] = spaces.Box(0, 1, (info.n_agents, info.n_actions), np.int8)
        self.single_observation_space = spaces.Dict(parts)
        self.single_action_space = spaces.MultiDiscrete([info.n_actions] * info.n_agents)
        batch = vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space, num_envs)
        self.action_space = batch(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Start all games anew; `options` has no effect."""
        return _as_dictionary(self.games.reset(seed)), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """Play the joint actions [B, N]."""
        result = self.games.step(np.asarray(actions, dtype=np.int64))
        infos: dict[str, Any] = {}
        if result.final is not None:
            done = result.terminated | result.truncated
            infos = {
                "final_obs": _by_game(_as_dictionary(result.final), done),
                "_final_obs": done,
                "final_info": {**result.info, **{f"_{name}": done for name in result.info}},
                "_final_info": done,
            }
        observation = _as_dictionary(result.observation)
        return observation, result.reward.astype(np.float64), result.terminated, result.truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        self.games.close()


def _as_dictionary(observation: Observation) -> dict[str, Array]:
    parts = {"obs": observation.obs, "state": observation.state}
    if observation.avail_actions is not None:
        parts["avail_actions"] = observation.avail_actions.astype(np.int8)
    return parts


def _by_game(parts: dict[str, Array], done: Array) -> Array:
    """One dictionary for each game that is done, in an array of objects [B], as Gymnasium has it; None for others."""
    found = np.full(len(done), None, dtype=object)
    for game in np.flatnonzero(done):
        found[game] = {name: values[game] for name, values in parts.items()}
    return found

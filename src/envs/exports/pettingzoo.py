"""Our games as parallel environments of PettingZoo. Needs the package pettingzoo."""

from typing import Any

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.envs.exports.games import make_games
from bn_mappo.envs.packages import import_package
from bn_mappo.envs.vector.single import SingleGame

ParallelEnv: Any = import_package("pettingzoo", __name__).ParallelEnv
spaces = import_package("gymnasium.spaces", __name__)


def parallel_env(name: str, seed: int | None = None, **env_args: Any) -> "ParallelGame":
    """One game, by name: skirmish, aloha or coordination_game, such as parallel_env("skirmish", map_name="8m").

    `env_args` are those of the game (src/config/envs/NAME.yaml). `seed` starts the generator; None: an own one.
    """
    return ParallelGame(name, seed, env_args)


class ParallelGame(ParallelEnv):
    """One game. Owns it. Every agent is paid the team's reward and stays until the episode ends.

    Where a game masks actions, an observation is a dictionary of `observation` [D] and `action_mask` [A] (int8), as
    PettingZoo has it; else it is the array [D]. Facts of an episode, such as battle_won, are in the infos of its last
    step.
    """

    def __init__(self, name: str, seed: int | None, env_args: dict[str, Any]):
        self.metadata = {"name": name, "is_parallelizable": True, "render_modes": ["rgb_array"]}
        self.render_mode = env_args.get("render_mode")
        self.batched: Any = make_games(name, 1, seed, env_args)
        self.game, info = SingleGame(self.batched), self.batched.info
        self.possible_agents = [f"agent_{agent}" for agent in range(info.n_agents)]
        self.agents: list[str] = []
        self.has_begun = False
        seen = spaces.Box(-np.inf, np.inf, (info.obs_dim,), np.float32)
        if info.masks_actions:
            mask = spaces.Box(0, 1, (info.n_actions,), np.int8)
            self.observation_spaces = {
                agent: spaces.Dict({"observation": seen, "action_mask": mask}) for agent in self.possible_agents
            }
        else:
            self.observation_spaces = dict.fromkeys(self.possible_agents, seen)
        self.action_spaces = {agent: spaces.Discrete(info.n_actions) for agent in self.possible_agents}
        self.state_space = spaces.Box(-np.inf, np.inf, (info.state_dim,), np.float32)

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first observations and infos, by agent; `options` has no effect."""
        self.game.reset(seed)
        self.agents, self.has_begun = list(self.possible_agents), True
        return self._observations(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        """Observations, rewards, terminations, truncations and infos, by agent; nothing where nobody is left."""
        if not self.agents:
            if not self.has_begun:
                raise ValueError("reset() comes before the first step()")
            return {}, {}, {}, {}, {}
        joint = np.array([actions[agent] for agent in self.possible_agents], dtype=np.int64)  # [N]
        reward, terminated, truncated, info = self.game.step(joint)
        observations = self._observations()
        outcome = (
            observations,
            dict.fromkeys(self.agents, float(reward)),
            dict.fromkeys(self.agents, terminated),
            dict.fromkeys(self.agents, truncated),
            {agent: dict(info) for agent in self.agents},
        )
        if terminated or truncated:
            self.agents = []
        return outcome

    def _observations(self) -> dict[str, Any]:
        obs, avail = self.game.get_obs(), self.game.get_avail_actions()
        if avail is None:
            return dict(zip(self.agents, obs, strict=True))
        masks = avail.astype(np.int8)
        return {
            agent: {"observation": obs[number], "action_mask": masks[number]}
            for number, agent in enumerate(self.agents)
        }

    def state(self) -> Array:
        """[S], what a central critic may see."""
        return self.game.get_state()

    def render(self) -> Array | None:
        """The battle as pixels [height, width, 3] uint8; None without render_mode="rgb_array"."""
        pixels: Array | None = None if self.render_mode is None else self.batched.render()
        return pixels

    def close(self) -> None:
        self.game.close()

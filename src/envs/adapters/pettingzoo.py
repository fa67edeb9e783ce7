"""PettingZoo's parallel environments, such as those of MPE: all agents act at once, and may leave before the end."""

import inspect
from typing import Any

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.adapters.spaces import Actions, Observations
from bn_mappo.envs.arguments import keyword_parameters
from bn_mappo.envs.multiagentenv import MultiAgentEnv
from bn_mappo.envs.packages import REFUSALS, check_limit, check_options, import_package

EXAMPLE = "env_args.key=mpe2:simple_spread_v3"
LIMIT = "max_cycles"  # PettingZoo's usual name for the number of steps of an episode
MASK, OBSERVATION = "action_mask", "observation"  # PettingZoo's names in observations and infos
SEEDS = 2**31


class PettingZoo(MultiAgentEnv):
    """One parallel environment. Owns it; agents are numbered as in its `possible_agents`.

    Observations are flattened and padded with zeros to the longest; the state is all of them in a row. Agents with
    fewer actions have the others masked, as have those whose observation or info holds an `action_mask`. The episode
    ends when all agents have left: it is truncated where the last ones were, and none of them terminated.
    """

    def __init__(
        self,
        worker_seed: int,
        *,
        key: str | None = None,
        time_limit: int = 25,
        agents_leave: bool = True,
        seed: int | None = None,
        **options: Any,
    ):
        """`key`: MODULE:VERSION; `options` go to its parallel_env(); `time_limit` in steps.

        `agents_leave` False: all agents stay until the end, which saves a mask; one that leaves is then an error.
        """
        if key is None:
            raise ConfigError(f"env_args.key is missing: the environment to play, such as {EXAMPLE}")
        if time_limit < 1:
            raise ConfigError(f"env_args.time_limit={time_limit}: an episode has at least 1 step")
        import_package("pettingzoo", "env=pettingzoo")
        self.key, self.limit, self.agents_leave = key, time_limit, agents_leave
        self.game = _make(key, time_limit, options)
        self.first_seed: int | None = (worker_seed if seed is None else derive_seed(seed, worker_seed)) % SEEDS
        self.names: list[Any] = list(self.game.possible_agents)
        self.number = {name: agent for agent, name in enumerate(self.names)}
        spaces = [self.game.observation_space(name) for name in self.names]
        self.has_mask_inside = [_is_masked(space) for space in spaces]
        seen = [
            space[OBSERVATION] if masked else space for space, masked in zip(spaces, self.has_mask_inside, strict=True)
        ]
        texts = [str(name) for name in self.names]
        self.observations = Observations(seen, texts, f"env_args.key={key}")
        self.actions = Actions([self.game.action_space(name) for name in self.names], texts, f"env_args.key={key}")
        n_agents, obs_dim = self.observations.array.shape
        _, infos = self.game.reset(seed=0)
        has_masks = any(self.has_mask_inside) or any(MASK in info for info in infos.values())
        masks = has_masks or not self.actions.exist.all()
        self.avail = self.actions.exist.copy() if masks else None  # [N, A] bool
        self.active = np.ones(n_agents, dtype=bool)  # [N]
        self.info = EnvInfo(
            n_agents=n_agents,
            n_actions=self.actions.n_actions,
            obs_dim=obs_dim,
            state_dim=n_agents * obs_dim,
            episode_limit=time_limit,
            masks_actions=masks,
            n_rewards=n_agents,
            agents_leave=agents_leave,
        )

    def reset(self, seed: int | None = None) -> None:
        seed = self.first_seed if seed is None else seed % SEEDS
        observations, infos = self.game.reset(seed=seed)
        self.first_seed = None  # from here on, the generator goes on
        self.clock = 0
        self.active[:] = [name in observations for name in self.names]
        if not self.active.all():
            raise ConfigError(f"env_args.key={self.key}: not all of its possible_agents are there at the start")
        self._show(observations, infos)

    def step(self, actions: Array) -> tuple[Array, bool, bool, dict[str, float]]:
        chosen = {
            name: self.actions.tables[agent][action]
            for agent, (name, action) in enumerate(zip(self.names, actions.tolist(), strict=True))
            if self.active[agent]
        }
        observations, rewards, terminations, truncations, infos = self.game.step(chosen)
        self.clock += 1
        reward = np.array([float(rewards.get(name, 0.0)) for name in self.names], dtype=np.float32)  # [N]
        terminated = np.array([bool(terminations.get(name, False)) for name in self.names])
        truncated = np.array([bool(truncations.get(name, False)) for name in self.names])
        goes_on = self.active & ~terminated & ~truncated
        has_ended = not goes_on.any()
        is_cut = has_ended and bool((self.active & truncated).any()) and not (self.active & terminated).any()
        if is_cut:
            goes_on = self.active.copy()  # they are cut off, and their last observation is still worth something
        if not self.agents_leave and not (has_ended or goes_on.all()):
            raise ValueError(f"env_args.key={self.key}: an agent has left; set env_args.agents_leave=True")
        self.active = goes_on
        self._show(observations, infos)
        return reward, has_ended and not is_cut, is_cut or (not has_ended and self.clock >= self.limit), {}

    def _show(self, observations: dict[Any, Any], infos: dict[Any, Any]) -> None:
        """Keep what the agents observe, and what they can do."""
        for agent, name in enumerate(self.names):
            if not self.active[agent] or name not in observations:
                self.observations.clear(agent)
                self._allow_nothing(agent)
                continue
            observation, mask = observations[name], infos.get(name, {}).get(MASK)
            if self.has_mask_inside[agent]:
                observation, mask = observation[OBSERVATION], observation[MASK]
            self.observations.write(agent, observation)
            if self.avail is not None:
                self.avail[agent] = self.actions.exist[agent]
                if mask is not None and np.any(mask):
                    self.avail[agent, : len(mask)] &= np.asarray(mask, dtype=bool)

    def _allow_nothing(self, agent: int) -> None:
        """An agent that has left has action 0 alone, which has no effect."""
        if self.avail is not None:
            self.avail[agent] = False
            self.avail[agent, 0] = True

    def get_obs(self) -> Array:
        return self.observations.array

    def get_state(self) -> Array:
        return self.observations.array.ravel()

    def get_avail_actions(self) -> Array | None:
        return self.avail

    def get_active(self) -> Array | None:
        return self.active if self.agents_leave else None

    def close(self) -> None:
        self.game.close()


def _is_masked(space: Any) -> bool:
    """Whether an observation is a dictionary of what is seen and a mask of the actions."""
    from gymnasium.spaces import Dict

    return isinstance(space, Dict) and {OBSERVATION, MASK} <= set(space.spaces)


def _make(key: str, time_limit: int, options: dict[str, Any]) -> Any:
    """The environment called MODULE:VERSION, with as many steps as the limit has where it takes such an argument."""
    module_name, colon, version = key.partition(":")
    if not (module_name and colon and version):
        raise ConfigError(f"env_args.key={key}: MODULE:VERSION is needed, such as {EXAMPLE}")
    module = import_package(f"{module_name}.{version}", f"env_args.key={key}")
    make = getattr(module, "parallel_env", None)
    if make is None:
        raise ConfigError(f"env_args.key={key}: it has no parallel_env(): its agents act one after the other")
    arguments = inspect.signature(getattr(module, "raw_env", make))
    check_options(key, options, getattr(module, "raw_env", make), keyword_parameters(PettingZoo))
    if LIMIT in arguments.parameters:
        options = {LIMIT: time_limit, **options}
        check_limit(LIMIT, options[LIMIT])
    try:
        return make(**options)
    except REFUSALS as error:
        raise ConfigError(f"env_args.key={key}: the environment refuses its env_args: {error}") from error

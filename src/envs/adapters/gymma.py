"""Environments for several agents in Gymnasium's registry, such as LBF and RWARE, by EPyMARL's name and arguments."""

import copy
from typing import Any, Literal

import numpy as np

from bn_mappo.core.errors import ConfigError, nearest
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.adapters.spaces import Actions, Observations
from bn_mappo.envs.arguments import keyword_parameters
from bn_mappo.envs.multiagentenv import MultiAgentEnv
from bn_mappo.envs.packages import REFUSALS, check_limit, check_options, import_package

PURPOSE = "env=gymma"
EXAMPLE = "env_args.key=lbforaging:Foraging-8x8-2p-3f-v3"
MODULES = {"Foraging": "lbforaging", "rware": "rware"}  # which module registers the keys that begin so
OWN_LIMITS = {"lbforaging": "max_episode_steps", "rware": "max_steps"}  # by package: an argument that counts steps
SEEDS = 2**31


class Gymma(MultiAgentEnv):
    """One environment whose spaces are tuples with an entry for each agent. Owns it.

    As in EPyMARL: observations are flattened and padded with zeros, agents with fewer actions have the others masked,
    the state is all observations in a row, and the episode is cut off after `time_limit` steps, or earlier where the
    environment has a limit of its own. Where a package is known to report its own limit as the end of the game
    (OWN_LIMITS), that limit is kept from it, and what comes at that step is a time-out (docs/adapters.md).
    """

    def __init__(
        self,
        worker_seed: int,
        *,
        key: str | None = None,
        time_limit: int = 50,
        pretrained_wrapper: str | None = None,
        seed: int | None = None,
        render_mode: Literal["human"] | None = None,
        **options: Any,
    ):
        """`key`: MODULE:ID or ID; `options` go to the environment, as EPyMARL passes them; `time_limit` in steps."""
        if key is None:
            raise ConfigError(f"env_args.key is missing: the environment to play, such as {EXAMPLE}")
        if time_limit < 1:
            raise ConfigError(f"env_args.time_limit={time_limit}: an episode has at least 1 step")
        if pretrained_wrapper is not None:
            raise ConfigError(
                f"env_args.pretrained_wrapper={pretrained_wrapper}: the pretrained opponents are part of EPyMARL, and "
                "not of this package. Only null is allowed"
            )
        spec, self.key = _find(key), key
        check_options(key, options, _creator(spec), keyword_parameters(Gymma))
        self.limit = _take_limit(spec, options, time_limit)
        self.shows_window = render_mode is not None
        self.game = _make(spec, key, {**options, **({"render_mode": render_mode} if render_mode else {})})
        self.first_seed: int | None = (worker_seed if seed is None else derive_seed(seed, worker_seed)) % SEEDS
        actions, observations = (
            _by_agent(space, key) for space in (self.game.action_space, self.game.observation_space)
        )
        names = [f"agent {agent}" for agent in range(len(actions))]
        self.actions, self.observations = Actions(actions, names, key), Observations(observations, names, key)
        n_agents, obs_dim = self.observations.array.shape
        self.mask = None if self.actions.exist.all() else self.actions.exist
        self.info = EnvInfo(
            n_agents=n_agents,
            n_actions=self.actions.n_actions,
            obs_dim=obs_dim,
            state_dim=n_agents * obs_dim,
            episode_limit=self.limit,
            masks_actions=self.mask is not None,
            n_rewards=self._count_rewards(n_agents),
        )

    def _count_rewards(self, n_agents: int) -> int:
        """1 or N: no space tells whether agents are paid one by one, so one step is played."""
        try:
            self.game.reset(seed=0)
            _, reward, *_ = self.game.step([table[0] for table in self.actions.tables])
        except REFUSALS as error:
            raise ConfigError(f"env_args.key={self.key}: a first step fails with these env_args: {error}") from error
        return 1 if np.ndim(reward) == 0 else n_agents

    def reset(self, seed: int | None = None) -> None:
        seed = self.first_seed if seed is None else seed % SEEDS
        observations, _ = self.game.reset(seed=seed)
        self.first_seed = None  # from here on, the generator goes on
        self.clock = 0
        self._show(observations)

    def _show(self, observations: Any) -> None:
        for agent, observation in enumerate(observations):
            self.observations.write(agent, observation)
        if self.shows_window:
            self.game.render()

    def step(self, actions: Array) -> tuple[float | Array, bool, bool, dict[str, float]]:
        tables = self.actions.tables
        observations, reward, terminated, truncated, _ = self.game.step(
            [table[action] for table, action in zip(tables, actions.tolist(), strict=True)]
        )
        self.clock += 1
        self._show(observations)
        is_over, is_cut = bool(np.all(terminated)), bool(np.all(truncated)) or self.clock >= self.limit
        return reward if self.info.n_rewards == 1 else np.asarray(reward), is_over, is_cut and not is_over, {}

    def get_obs(self) -> Array:
        return self.observations.array.copy()

    def get_state(self) -> Array:
        return self.observations.array.flatten()

    def get_avail_actions(self) -> Array | None:
        return self.mask

    def close(self) -> None:
        self.game.close()


def _find(key: str) -> Any:
    """A copy of the registered specification, after its module has been imported."""
    gymnasium = import_package("gymnasium", PURPOSE)
    module, _, name = key.rpartition(":")
    if name.startswith(("pz-", "vmas-")):
        raise ConfigError(
            f"env_args.key={key}: PettingZoo's environments have an adapter of their own, such as "
            "--env-config=pettingzoo with env_args.key=mpe2:simple_spread_v3"
        )
    if not module and name not in gymnasium.registry:
        module = next((module for start, module in MODULES.items() if name.startswith(start)), "")
    if module:
        import_package(module, f"env_args.key={key}")
    if name not in gymnasium.registry:
        where = f" after importing '{module}'" if module else "; MODULE:ID imports the module that registers it"
        raise ConfigError(
            f"env_args.key={key}: Gymnasium has no environment '{name}'{where}.{nearest(name, gymnasium.registry)}"
        )
    return copy.deepcopy(gymnasium.registry[name])


def _package(spec: Any) -> str:
    """The package that an environment comes from."""
    return spec.entry_point.partition(".")[0] if isinstance(spec.entry_point, str) else ""


def _creator(spec: Any) -> Any:
    """What makes the environment."""
    if callable(spec.entry_point):
        return spec.entry_point
    module, _, name = spec.entry_point.partition(":")
    return getattr(import_package(module, f"env_args.key={spec.id}"), name)


def _take_limit(spec: Any, options: dict[str, Any], time_limit: int) -> int:
    """The length of an episode in steps; the environment is left without a limit of its own, as far as it is known."""
    limits = [time_limit]
    if spec.max_episode_steps is not None:
        limits.append(spec.max_episode_steps)
        spec.max_episode_steps = None
    own = OWN_LIMITS.get(_package(spec))
    if own is not None:
        value = options.pop(own, spec.kwargs.get(own))
        if value is not None:
            limits.append(check_limit(own, value))
        spec.kwargs[own] = min(limits) + 1
    return min(limits)


def _make(spec: Any, key: str, options: dict[str, Any]) -> Any:
    """The environment, without the wrappers that check what it does at every step."""
    gymnasium = import_package("gymnasium", PURPOSE)
    spec.order_enforce = False
    try:
        return gymnasium.make(spec, disable_env_checker=True, **options)
    except (*REFUSALS, gymnasium.error.Error) as error:
        raise ConfigError(f"env_args.key={key}: the environment refuses its env_args: {error}") from error


def _by_agent(space: Any, key: str) -> list[Any]:
    """The spaces of the agents, from a tuple of them."""
    from gymnasium.spaces import Tuple

    if not isinstance(space, Tuple):
        raise ConfigError(
            f"env_args.key={key} is an environment for one agent: its space is {space}, and not a tuple with an entry "
            "for each agent"
        )
    return list(space.spaces)

"""Environments, by the name that YAML uses, and how the configured runner plays them. Workers never import this."""

import functools
from typing import Any

import numpy as np

from bn_mappo.config.loading import config_names
from bn_mappo.config.schema import Config
from bn_mappo.core.errors import ConfigError, told
from bn_mappo.core.registry import Registry
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.adapters.gymma import Gymma
from bn_mappo.envs.adapters.pettingzoo import PettingZoo
from bn_mappo.envs.adapters.starcraft2 import StarCraft2
from bn_mappo.envs.adapters.starcraft2_v2 import StarCraft2V2
from bn_mappo.envs.arguments import check_arguments, fill_arguments
from bn_mappo.envs.games.aloha import Aloha
from bn_mappo.envs.games.coordination_game import CoordinationGame
from bn_mappo.envs.games.foraging import Foraging
from bn_mappo.envs.games.matrix_game import MatrixGame
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.games.two_step import TwoStep
from bn_mappo.envs.multiagentenv import MultiAgentEnv
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.envs.vector.batched import BatchedGame
from bn_mappo.envs.vector.common_reward import CommonReward
from bn_mappo.envs.vector.runners import RUNNERS, Environment, Games

REGISTRY: Registry = Registry("env")
REGISTRY.register("coordination_game", "N agents with a bit each are paid for agreeing")(CoordinationGame)
REGISTRY.register("aloha", "islands that send messages and collide with their neighbours")(Aloha)
REGISTRY.register("foraging", "Level-Based Foraging on arrays: food that may be too heavy for one agent")(Foraging)
REGISTRY.register("matrix_game", "two agents choose once, beside the worst outcomes the best one")(MatrixGame)
REGISTRY.register("two_step", "a safe matrix game, or one that pays more if both play it well")(TwoStep)
REGISTRY.register("skirmish", "StarCraft micromanagement without StarCraft: the tasks of SMAC")(Skirmish)
REGISTRY.register("sc2", "StarCraft II itself, through the SMAC authors' package")(StarCraft2)
REGISTRY.register("sc2v2", "SMACv2 in the same game: new teams and starts in each episode")(StarCraft2V2)
REGISTRY.register("gymma", "several agents of Gymnasium, such as LBF and RWARE, with EPyMARL's arguments")(Gymma)
REGISTRY.register("pettingzoo", "parallel environments of PettingZoo, such as those of MPE")(PettingZoo)


def env_layer(name: str) -> dict[str, Any] | None:
    """What takes the place of a YAML file for a registered environment that has none; else None."""
    if name in config_names("envs") or name not in REGISTRY:
        return None
    return {"env": name, "runner": "vector" if is_batched(name) else "parallel"}


def env_names() -> list[str]:
    """What --env-config takes: the YAML files, and the registered environments."""
    return sorted({*config_names("envs"), *REGISTRY})


def fill_env_args(name: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """env_args with the defaults of the environment, so that a run's configuration is complete."""
    return fill_arguments(REGISTRY[name], env_args)


def check_env_args(name: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """env_args with the types that the environment takes; a mistake raises ConfigError."""
    return check_arguments(name, REGISTRY[name], env_args)


def is_batched(name: str) -> bool:
    """Whether an environment is written on arrays of games."""
    entry = REGISTRY[name]
    entry = entry.func if isinstance(entry, functools.partial) else entry
    return isinstance(entry, type) and issubclass(entry, BatchedGame)


def get_environment(name: str, env_args: dict[str, Any]) -> Environment:
    """A registered environment with its arguments, which are checked."""
    make = functools.partial(REGISTRY[name], **check_env_args(name, env_args))
    return Environment(name, make, is_batched(name))


def describe(name: str, env_args: dict[str, Any]) -> dict[str, str]:
    """What a run records of its environment, once; empty where it declares nothing. Starts nothing."""
    return dict(_declared(get_environment(name, env_args)).record.description)


def get_env_info(config: Config) -> EnvInfo:
    """The facts of the configured environment; checks its arguments, the runner, and how one not ours begins."""
    RUNNERS[config.runner]
    info = _declared(get_environment(config.env, config.env_args), begins=True)
    return info._replace(n_rewards=1) if _sums_rewards(config, info) else info


def make_vec_env(config: Config, batch_size: int, purpose: str) -> VecEnv:
    """batch_size games as the configured runner plays them; `purpose` names their generators."""
    environment = get_environment(config.env, config.env_args)
    info = _declared(environment)
    sums_rewards = _sums_rewards(config, info)
    options = (config.env_timeout_s, config.max_worker_restarts, config.games_per_worker)
    env: VecEnv = RUNNERS[config.runner](Games(environment, info, batch_size, config.seed, purpose, *options))
    return CommonReward(env, config.reward_scalarisation == "mean") if sums_rewards else env


def _declared(environment: Environment, begins: bool = False) -> EnvInfo:
    """What the environment itself says of its facts.

    ConfigError where one that is not ours cannot be made or, with `begins`, begins an episode with other shapes.
    """
    make = environment.make.func if isinstance(environment.make, functools.partial) else environment.make
    is_ours = str(getattr(make, "__module__", "")).startswith(f"{__package__}.")
    try:
        env = environment.single_factory()(0)
        try:
            if begins and not is_ours:
                _check_shapes(environment.name, env)
        finally:
            env.close()
    except ConfigError:
        raise
    except Exception as error:  # code of the user's may fail in any way
        if is_ours:
            raise
        raise ConfigError(f"env={environment.name} cannot be played: {told(error)}") from error
    return env.info


def _check_shapes(name: str, env: MultiAgentEnv) -> None:
    """ConfigError where the first episode does not begin with what EnvInfo declares."""
    env.reset(0)
    info = env.info
    shown: dict[str, tuple[Array | None, str, tuple[int, ...]]] = {
        "get_obs": (env.get_obs(), "n_agents, obs_dim", (info.n_agents, info.obs_dim)),
        "get_state": (env.get_state(), "state_dim,", (info.state_dim,)),
    }
    if info.masks_actions:
        shape_of_masks = (info.n_agents, info.n_actions)
        shown["get_avail_actions"] = (env.get_avail_actions(), "n_agents, n_actions", shape_of_masks)
    for method, (array, names, wanted) in shown.items():
        shape = np.asarray(array).shape
        if shape != wanted:
            raise ConfigError(f"env={name}: {method}() is of shape {shape}, and EnvInfo says ({names}) = {wanted}")


def _sums_rewards(config: Config, info: EnvInfo) -> bool:
    """Whether the agents' rewards become one of the team."""
    if info.n_rewards == 1 and not config.common_reward:
        raise ConfigError(
            f"common_reward=False keeps a reward for each agent, and env={config.env} has one for the team: "
            "set common_reward=True"
        )
    return info.n_rewards > 1 and config.common_reward

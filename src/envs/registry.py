"""Environments, by the name that YAML uses, and how the configured runner plays them."""

import functools
import inspect
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from bn_mappo.config.schema import Config, explain
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.registry import Registry
from bn_mappo.core.seeds import derive_seed
from bn_mappo.envs.adapters.starcraft2 import StarCraft2
from bn_mappo.envs.games.aloha import Aloha
from bn_mappo.envs.games.coordination_game import CoordinationGame
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.multiagentenv import MultiAgentEnv, SingleGame
from bn_mappo.envs.vec_env import BatchedGame, EnvInfo, VecEnv
from bn_mappo.envs.vector.serial import SerialVecEnv
from bn_mappo.envs.vector.subproc import SubprocVecEnv

REGISTRY: Registry = Registry("env")
REGISTRY.register("coordination_game", "N agents with a bit each are paid for agreeing")(CoordinationGame)
REGISTRY.register("aloha", "islands that send messages and collide with their neighbours")(Aloha)
REGISTRY.register("skirmish", "StarCraft micromanagement without StarCraft: the tasks of SMAC")(Skirmish)
REGISTRY.register("sc2", "StarCraft II itself, through the SMAC authors' package")(StarCraft2)


def keyword_parameters(name: str) -> dict[str, inspect.Parameter]:
    """The env_args that an environment takes: its constructor's keyword-only parameters."""
    parameters = inspect.signature(REGISTRY[name], eval_str=True).parameters
    return {key: value for key, value in parameters.items() if value.kind is inspect.Parameter.KEYWORD_ONLY}


def fill_env_args(name: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """env_args with the defaults of the constructor, so that a run's configuration is complete."""
    return {**{key: parameter.default for key, parameter in keyword_parameters(name).items()}, **env_args}


def check_env_args(name: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """env_args with the types of the constructor's keyword arguments; a mistake raises ConfigError."""
    keywords = keyword_parameters(name)
    fields: dict[str, Any] = {n: (p.annotation, p.default) for n, p in keywords.items()}
    model = create_model(
        f"{name}_args", __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False), **fields
    )
    try:
        return model.model_validate(env_args).model_dump(include=set(env_args))
    except ValidationError as error:
        message = "\n".join(explain(error, {**env_args, **dict.fromkeys(keywords)}, prefix="env_args."))
        raise ConfigError(f"{message}\n{name} takes: {', '.join(keywords)}.") from None


def is_batched(name: str) -> bool:
    """Whether an environment is written on arrays of games."""
    entry = REGISTRY[name]
    return isinstance(entry, type) and issubclass(entry, BatchedGame)


def make_single_env(seed: int, name: str, env_args: dict[str, Any]) -> MultiAgentEnv:
    """One game of a registered environment."""
    make = REGISTRY[name]
    if is_batched(name):
        return SingleGame(make(1, seed, **env_args))
    env: MultiAgentEnv = make(seed, **env_args)
    return env


def get_env_info(config: Config) -> EnvInfo:
    """The facts of the configured environment; checks its arguments, starts nothing."""
    env = make_single_env(0, config.env, check_env_args(config.env, config.env_args))
    info = env.info
    env.close()
    return info


def make_vec_env(config: Config, batch_size: int, purpose: str) -> VecEnv:
    """batch_size games as the configured runner plays them; `purpose` names their generators."""
    env_args = check_env_args(config.env, config.env_args)
    if config.runner == "vector":
        if not is_batched(config.env):
            raise ConfigError(f"env={config.env} plays one game at a time: use runner=parallel or runner=episode")
        env: VecEnv = REGISTRY[config.env](batch_size, derive_seed(config.seed, purpose), **env_args)
        return env
    seeds = [derive_seed(config.seed, purpose, row) for row in range(batch_size)]
    factory = functools.partial(make_single_env, name=config.env, env_args=env_args)
    if config.runner == "episode":
        return SerialVecEnv(factory, seeds, config.max_worker_restarts)
    return SubprocVecEnv(factory, get_env_info(config), seeds, config.env_timeout_s, config.max_worker_restarts)

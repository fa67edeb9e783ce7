"""How B games of an environment are played at once: the values of the key `runner`, and what starts the games."""

import functools
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.registry import Registry
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import EnvInfo
from bn_mappo.core.threads import usable_cores
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.envs.vector.serial import SerialVecEnv
from bn_mappo.envs.vector.single import make_single_game
from bn_mappo.envs.vector.slots import EnvFactory
from bn_mappo.envs.vector.subproc import SubprocVecEnv

RUNNERS: Registry = Registry("runner")


class Environment(NamedTuple):
    """An environment with its env_args, of which any number of games can be made."""

    name: str  # for messages; nothing is looked up by it
    make: Callable[..., Any]  # takes batch size and seed where games are written on arrays, else the seed
    is_batched: bool  # written on arrays of games

    def single_factory(self) -> EnvFactory:
        """What makes one game from a seed."""
        return functools.partial(make_single_game, self.make) if self.is_batched else self.make


class Games(NamedTuple):
    """What is to be played: everything that a runner may ask for."""

    environment: Environment
    info: EnvInfo
    batch_size: int
    seed: int  # of the run
    purpose: str  # names the generators: games for one purpose share none with those for another
    timeout_s: float  # for an answer of a worker
    max_restarts: int  # of one game in a row
    games_per_worker: int | None = 1  # that one process plays; None: as many as make one process a core

    def seeds(self) -> list[int]:
        """One for each game."""
        return [derive_seed(self.seed, self.purpose, row) for row in range(self.batch_size)]


@RUNNERS.register("vector", "games on arrays, in this process: by far the fastest")
def play_on_arrays(games: Games) -> VecEnv:
    """For environments that are written on arrays."""
    name, make, is_batched = games.environment
    if not is_batched:
        raise ConfigError(f"env={name} plays one game at a time: use runner=parallel or runner=episode")
    env: VecEnv = make(games.batch_size, derive_seed(games.seed, games.purpose))
    return env


@RUNNERS.register("parallel", "games in worker processes; one that dies or hangs is replaced")
def play_in_processes(games: Games) -> VecEnv:
    """Workers get the factory itself, which pickle must be able to send: they look up no names."""
    factory = games.environment.single_factory()
    try:
        pickle.dumps(factory)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"env={games.environment.name} cannot be sent to worker processes: {error}\n"
            "Define its class or function at the top level of a module, or use runner=episode"
        ) from error
    each = -(-games.batch_size // usable_cores()) if games.games_per_worker is None else games.games_per_worker
    return SubprocVecEnv(factory, games.info, games.seeds(), games.timeout_s, games.max_restarts, games_per_worker=each)


@RUNNERS.register("episode", "one game after the other, in this process: to debug an environment")
def play_in_turn(games: Games) -> VecEnv:
    """The simplest."""
    return SerialVecEnv(games.environment.single_factory(), games.seeds(), games.max_restarts)

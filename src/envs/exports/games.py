"""The games that are offered to others, by name."""

import secrets
from typing import Any

from bn_mappo.core.errors import unknown
from bn_mappo.envs.arguments import check_arguments
from bn_mappo.envs.games.aloha import Aloha
from bn_mappo.envs.games.coordination_game import CoordinationGame
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.vector.batched import BatchedGame

GAMES: dict[str, type[BatchedGame]] = {"skirmish": Skirmish, "aloha": Aloha, "coordination_game": CoordinationGame}


def make_games(name: str, n_games: int, seed: int | None, env_args: dict[str, Any]) -> BatchedGame:
    """n_games of one kind, with the arguments of src/config/envs/NAME.yaml; ConfigError for a mistake.

    seed None: other games each time.
    """
    if name not in GAMES:
        raise unknown("game", name, GAMES)
    make: Any = GAMES[name]
    games: BatchedGame = make(
        n_games, fresh_seed() if seed is None else seed, **check_arguments(name, GAMES[name], env_args)
    )
    return games


def fresh_seed() -> int:
    """A seed that no program has chosen."""
    return secrets.randbits(31)

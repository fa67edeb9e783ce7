"""The toy environments are registered for the time of one test, so that contracts over the registry do not see them."""

import pytest

import toy_envs
from envs import REGISTRY


@pytest.fixture
def toys():
    games = {"bit_game": toy_envs.BitGame, "masked_game": toy_envs.MaskedGame, "faulty_game": toy_envs.FaultyGame}
    for name, game in games.items():
        REGISTRY.register(name, "for tests")(game)
    yield
    for name in games:
        REGISTRY.remove(name)

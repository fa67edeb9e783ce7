"""Toy environments are there for one test alone, unseen by contracts over the registry; no test meets a database."""

import pytest

import toy_envs
from envs import REGISTRY


@pytest.fixture
def toys():
    games = {
        "bit_game": toy_envs.BitGame,
        "either_sees_game": toy_envs.EitherSeesGame,
        "masked_game": toy_envs.MaskedGame,
        "faulty_game": toy_envs.FaultyGame,
    }
    for name, game in games.items():
        REGISTRY.register(name, "for tests")(game)
    yield
    for name in games:
        REGISTRY.remove(name)


@pytest.fixture(autouse=True)
def no_database(monkeypatch):
    """The developer's own database stays out of the tests."""
    monkeypatch.delenv("MONGO_URL", raising=False)

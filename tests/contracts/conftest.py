"""Contracts hold for the adapter to StarCraft II too, with a stand-in for the game."""

import pytest


@pytest.fixture(autouse=True)
def everything_is_installed(starcraft):
    """Every environment can be played."""

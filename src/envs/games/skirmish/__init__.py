"""Skirmish: StarCraft micromanagement without StarCraft, thousands of games in one array."""

from bn_mappo.envs.games.skirmish.game import Skirmish

__all__ = ["Skirmish"]

"""Skirmish: StarCraft micromanagement without StarCraft, thousands of games in one array."""

from envs.skirmish.game import Skirmish

__all__ = ["Skirmish"]

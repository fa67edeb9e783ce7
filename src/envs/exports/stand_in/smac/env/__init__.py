"""As smac.env of the SMAC authors: the environment."""

from bn_mappo.envs.exports.smac import StarCraft2Env

__all__ = ["StarCraft2Env"]

"""As smac.env.starcraft2.maps of the SMAC authors: what is known of a map."""

from bn_mappo.envs.exports.smac import get_map_params

__all__ = ["get_map_params"]

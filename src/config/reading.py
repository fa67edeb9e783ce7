"""YAML files as plain Python data. Knows no schema: environments read their own files with it."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bn_mappo.core.errors import ConfigError


def load_yaml(path: Path) -> dict[str, Any]:
    """One YAML file as plain Python data."""
    try:
        data = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold keys and values, not {type(data).__name__}")
    return {str(key): value for key, value in data.items()}

"""YAML files as plain Python data. Knows no schema: environments read their own files with it."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bn_mappo.core.errors import ConfigError


def load_yaml(path: Path) -> dict[str, Any]:
    """One YAML file as plain Python data; a file that has not changed is parsed once."""
    try:
        version = path.stat().st_mtime_ns
    except OSError as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    return deepcopy(_parse(path, version))


@lru_cache(maxsize=256)
def _parse(path: Path, version: int) -> dict[str, Any]:
    try:
        data = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold keys and values, not {type(data).__name__}")
    return {str(key): value for key, value in data.items()}

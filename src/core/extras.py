"""Packages that are extras: imported by name, with an error that says how to install them."""

import importlib
import shlex
import sys
from typing import Any

from bn_mappo.core.errors import ConfigError

EXTRAS = {  # package: the extra of pyproject.toml that brings it
    "onnx": "export",
    "onnxscript": "export",
    "onnx_ir": "export",
    "onnxruntime": "serve",
    "zmq": "serve",
    "msgpack": "serve",
    "plotly": "report",
    "gymnasium": "gymnasium",
    "lbforaging": "lbf",
    "rware": "rware",
    "pettingzoo": "pettingzoo",
    "mpe2": "mpe",
    "ray": "ray",
    "optuna": "optuna",
}


def install_command(extra: str) -> str:
    """The command that brings the packages of an extra into the Python that runs now."""
    return f"{shlex.quote(sys.executable)} -m pip install 'bn-mappo[{extra}]'"


def load(name: str) -> Any:
    """The module of an extra, such as `zmq` or `plotly.graph_objects`; ConfigError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        extra = EXTRAS[package]
        raise ConfigError(
            f"the Python package '{package}' is not installed.\n"
            f"It is part of the extra '{extra}'. Install: {install_command(extra)}"
        ) from error

"""Packages that are extras: imported by name, with an error that says how to install them."""

import importlib
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
}


def load(name: str) -> Any:
    """The module of an extra, such as `zmq` or `plotly.graph_objects`; ConfigError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = EXTRAS[name.split(".")[0]]
        raise ConfigError(
            f"the package '{name.split('.')[0]}' is not installed. It belongs to the extra [{extra}]:\n"
            f"  pip install 'bn-mappo[{extra}]'    (in a checkout: .venv/bin/pip install -e '.[{extra}]')"
        ) from error

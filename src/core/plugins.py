"""Code from outside that registers environments, DAG generators, controllers or learners by being imported."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from bn_mappo.core.errors import ConfigError, told

GROUP = "bn_mappo.plugins"  # entry points of installed packages; each names a module


def load_plugins(names: Iterable[str]) -> None:
    """Import the modules of all installed packages' entry points, and those named: a module, or a file that is one.

    The folder of each is put on the path, at its end, so that environment workers find the classes that it defines.
    """
    for point in entry_points(group=GROUP):
        point.load()
    for name in names:
        file = Path(name)
        if name.endswith(".py") and not file.is_file():
            where = "" if file.is_absolute() else f" in {Path.cwd()}"
            raise ConfigError(f"--import {name}: there is no such file{where}. A run needs what it was made with")
        folder = file.resolve().parent if name.endswith(".py") else Path.cwd()
        module = file.stem if name.endswith(".py") else name
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        try:
            imported = importlib.import_module(module)
        except ConfigError:
            raise
        except Exception as error:  # a file of the user's may fail in any way
            raise ConfigError(f"--import {name}: cannot be imported: {told(error)}") from error
        origin = getattr(imported, "__file__", None)
        if name.endswith(".py") and (origin is None or Path(origin).resolve() != file.resolve()):
            raise ConfigError(f"--import {name}: its name is taken by {origin or 'another module'}; rename the file")

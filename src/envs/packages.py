"""Packages of other people's environments are optional: imported on use, and named where they are missing."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.core.extras import EXTRAS, install_command

REFUSALS = (TypeError, ValueError, AssertionError)  # what other people's environments raise at arguments they refuse


def import_package(module: str, purpose: str) -> Any:
    """A module of an optional package; ConfigError, with the command that installs it, where it is not there.

    purpose: what of the configuration asks for it, such as env=gymma.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        missing = str(error.name).partition(".")[0]
        if missing == package and module != package and importlib.util.find_spec(package) is not None:
            raise ConfigError(f"{purpose}: the Python package '{package}' has no module '{module}'") from error
        if missing in EXTRAS:
            extra = EXTRAS[missing]
            remedy = f"It is part of the extra '{extra}'. Install: {install_command(extra)}"
        else:
            remedy = f"Install what brings it, or put its folder on PYTHONPATH. With pip: pip install {missing}"
        raise ConfigError(f"{purpose}: the Python package '{missing}' is not installed.\n{remedy}") from error
    except Exception as error:  # a package may fail in any way when it is imported
        raise ConfigError(f"{purpose}: '{module}' cannot be imported: {type(error).__name__}: {error}") from error


def check_options(name: str, given: Iterable[str], make: Callable[..., Any], ours: Iterable[str]) -> None:
    """ConfigError where `make`, which makes the environment called `name`, has no argument of a given name.

    ours: the env_args of the adapter itself, for the list of what is allowed.
    """
    parameters = inspect.signature(make).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return  # it takes any name
    for option in given:
        if option not in parameters:
            raise unknown(f"entry of env_args for {name}", option, {*ours, *parameters})


def check_limit(name: str, value: Any) -> int:
    """A number of steps that a user gives to an environment; ConfigError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"env_args.{name}={value}: give a number of steps, at least 1")
    return value

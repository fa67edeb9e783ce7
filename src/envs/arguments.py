"""The env_args of an environment are the keyword-only parameters of its class, or of the function that makes it.

One with `**options` takes other names as well, and itself refuses what it cannot use.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal

from pydantic import ConfigDict, ValidationError, create_model

from bn_mappo.config.explain import explain
from bn_mappo.core.errors import ConfigError


def keyword_parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The env_args that an environment takes, by name."""
    parameters = inspect.signature(make, eval_str=True).parameters
    return {key: value for key, value in parameters.items() if value.kind is inspect.Parameter.KEYWORD_ONLY}


def takes_other_names(make: Callable[..., Any]) -> bool:
    """Whether an environment takes env_args that it does not name itself."""
    parameters = inspect.signature(make).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def fill_arguments(make: Callable[..., Any], env_args: dict[str, Any]) -> dict[str, Any]:
    """env_args with the environment's own defaults, so that a run's configuration is complete."""
    return {**{key: parameter.default for key, parameter in keyword_parameters(make).items()}, **env_args}


def check_arguments(name: str, make: Callable[..., Any], env_args: dict[str, Any]) -> dict[str, Any]:
    """env_args with the types that the environment called `name` takes; a mistake raises ConfigError."""
    keywords = keyword_parameters(make)
    fields: dict[str, Any] = {n: (p.annotation, p.default) for n, p in keywords.items()}
    others: Literal["allow", "forbid"] = "allow" if takes_other_names(make) else "forbid"
    model = create_model(
        f"{name}_args", __config__=ConfigDict(extra=others, strict=True, allow_inf_nan=False), **fields
    )
    try:
        return model.model_validate(env_args).model_dump(include=set(env_args))
    except ValidationError as error:
        message = explain(error, {**env_args, **dict.fromkeys(keywords)}, prefix="env_args.")
        raise ConfigError(f"{'; '.join(message)}\n{name} takes: {', '.join(keywords)}.") from None

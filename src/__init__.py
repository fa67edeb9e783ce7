"""Cooperative multi-agent reinforcement learning along learned Bayesian networks of actions.

The library interface (bn_mappo.api) is importable from here, by name; it is loaded on first use, so that environment
workers and other hosts, which need a part of the package alone, load no more than that.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bn_mappo.api import (
        Callback,
        build,
        draw_dag,
        evaluate,
        load_config,
        load_run,
        make_env,
        sample_dag,
        train,
    )
    from bn_mappo.core.registry import register

__all__ = [
    "Callback",
    "build",
    "draw_dag",
    "evaluate",
    "load_config",
    "load_run",
    "make_env",
    "register",
    "sample_dag",
    "train",
]


def __getattr__(name: str) -> Any:
    """A name of the library interface."""
    if name not in __all__:
        raise AttributeError(f"module 'bn_mappo' has no attribute '{name}'; it has {', '.join(__all__)}")
    if name == "register":  # without the rest: environment workers import modules that use it
        from bn_mappo.core.registry import register

        return register
    from bn_mappo import api

    return getattr(api, name)

"""Loops over arrays as machine code, by numba."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


@cache
def has_numba() -> bool:
    """Whether there is numba, which policies do without; the first call takes the half second of its import."""
    try:
        import_module("numba")
    except ImportError:
        return False
    return True


def compiled(function: Callable[..., Any], **flags: Any) -> Any:
    """The function compiled on first use; the result is kept beside its file, or else in the user's cache folder.

    Where neither can be written to it is compiled anew in every process, which numba alone would refuse.
    """
    from numba import njit

    flags = {"nogil": True, "error_model": "numpy", **flags}
    try:
        return njit(cache=True, **flags)(function)
    except RuntimeError:  # numba found no folder to keep it in
        return njit(**flags)(function)

"""The errors that a user can cause, each with one message: what was given, what is allowed, what to do."""

import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NoReturn


class ConfigError(Exception):
    """A user's mistake, met before anything starts; the command line prints it and exits with status 2."""


class RunError(Exception):
    """A run that cannot go on; its last good state has been saved."""

    exit_status = 1


class WorkerError(RunError):
    """An environment that has failed too often in a row to go on with."""

    exit_status = 3


def told(error: Exception) -> str:
    """An error of code from outside in one line: its type, its text, and where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({frame.filename}, line {frame.lineno})" for frame in place)
    return f"{type(error).__name__}: {error}" + ("" if isinstance(error, SyntaxError) else where)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint that names the nearest of the allowed words; empty if none is near."""
    match = get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{match[0]}'?" if match else ""


def unknown(what: str, given: str, allowed: Iterable[str]) -> ConfigError:
    """The error for a name that is not among the allowed ones."""
    names = sorted(allowed)
    return ConfigError(f"unknown {what} '{given}'.{nearest(given, names)}\nAllowed: {', '.join(names) or 'none'}.")


def fail(error: Exception, status: int) -> NoReturn:
    """End the program with one message and no traceback."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(status)

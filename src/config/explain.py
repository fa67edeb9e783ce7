"""pydantic's errors in the words of the command line. Knows no schema: environments use it for their own arguments."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from bn_mappo.core.errors import nearest
from bn_mappo.core.schedules import KINDS

SCHEDULE_KEYS = ("start", "end", "begin", "until", "steps", "kind")


def explain(error: ValidationError, values: dict[str, Any], prefix: str = "") -> list[str]:
    """A pydantic error in the words of the command line: key=value: what is wrong, what is allowed.

    `values` have every key that is allowed.
    """
    return list(dict.fromkeys(_explain_one(dict(detail), values, prefix) for detail in error.errors()))


def explain_file(error: ValidationError, *sections: type[BaseModel]) -> list[str]:
    """The same of a file of these sections."""
    names = [name for section in sections for name in section.model_fields]
    return list(dict.fromkeys(_explain_one(dict(detail), {}, "", names) for detail in error.errors()))


def _explain_one(detail: dict[str, Any], values: dict[str, Any], prefix: str, names: Sequence[str] = ()) -> str:
    path = [str(part) for part in detail["loc"] if str(part) not in KINDS]  # a union's location names its branch
    key, kind, message, given = prefix + ".".join(path), detail["type"], str(detail["msg"]), detail["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        siblings: Any = values
        for part in path[:-1]:
            siblings = siblings.get(part, {})
        names = names or [*(name for name in siblings if name != path[-1]), *SCHEDULE_KEYS]
        return f"there is no key '{key}'.{nearest(path[-1], names)}"
    if kind.startswith("missing"):
        return f"the key '{key}' is missing"
    if kind == "union_tag_invalid":
        return f"{key}.kind={detail['ctx']['tag']}: there is no such schedule. Allowed: {', '.join(list(KINDS)[1:])}"
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key}={given!r}: {message}" if key else message

"""Options from plain data by their declarations alone, where no validation library is installed."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from bn_mappo.core.declared import claimed, options_of, parts, prune
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Chosen, Limits, refuse_words
from bn_mappo.core.schedules import KINDS, Constant, Linear, Schedule, ScheduleLimits, Staircase

Class = TypeVar("Class")


def read_options(cls: type[Class], values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Class:
    """An instance of a class of options; every mistake is told in one ConfigError.

    Keys that the class does not have are left out. `names` says what the user calls a key that has another name here.
    """
    errors: list[str] = []
    own = prune(dict(values), claimed(cls, dict(values)))
    result = _read(cls, own, "", names or {}, errors)
    if errors:
        raise ConfigError("\n".join(dict.fromkeys(errors)))
    return result


def _read(cls: type, values: dict[str, Any], prefix: str, names: Mapping[str, str], errors: list[str]) -> Any:
    given: dict[str, Any] = {}
    before = len(errors)
    optional = {field.name for field in fields(cls) if field.default is not MISSING}
    for name, hint, registry in parts(cls, values):
        key, value = prefix + names.get(name, name), values.get(name)
        if name not in values:
            if name not in optional:
                errors.append(f"the key '{key}' is missing")
        elif registry is not None:
            given[name] = Chosen(str(value), _read(options_of(registry, str(value)), values, prefix, names, errors))
        elif is_dataclass(hint) and isinstance(value, dict):
            given[name] = _read(hint, value, f"{key}.", {}, errors)  # type: ignore[arg-type]
        else:
            try:
                given[name] = checked(hint, value)
            except ValueError as error:
                errors.append(f"{key}={value!r}: {error}")
    return None if len(errors) > before else cls(**given)


def checked(hint: Any, value: Any) -> Any:
    """The value in the declared type; ValueError says what is allowed."""
    origin, of = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _checked_number(of[0], of[1], value)
    if origin in (Union, UnionType):
        return None if value is None else checked(next(part for part in of if part is not NoneType), value)
    if origin is Literal:
        if value not in of or isinstance(value, bool):
            raise ValueError(f"must be {' or '.join(map(repr, of))}")
        return value
    if origin is list and isinstance(value, (list, tuple)):
        return [checked(of[0], item) for item in value]
    if not isinstance(value, origin or hint):
        raise ValueError(
            "must be a section of keys" if is_dataclass(hint) else f"must be a {(origin or hint).__name__}"
        )
    return value


def _checked_number(kind: Any, limits: Limits, value: Any) -> Any:
    if isinstance(limits, ScheduleLimits):
        schedule = read_schedule(value)
        if isinstance(schedule, Constant):
            limits.check_number(schedule.value)
        return limits.check(schedule)
    refuse_words(value)
    if not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError("must be a number")
    if kind is int and value != int(value):
        raise ValueError("must be an integer")
    limits.check_number(value)
    return kind(value)


def read_schedule(value: Any) -> Schedule:
    """A number, a section as in YAML, or the text start:end:until, for hosts that take no section in a number's place.

    Keys of other kinds of schedules are left out: a host's YAML has those of all.
    """
    if isinstance(value, str):
        try:
            start, end, until = map(float, value.split(":"))
        except ValueError:
            raise ValueError("must be a number, or start:end:until") from None
        value = {"start": start, "end": end, "until": until}
    if not isinstance(value, dict):
        return Constant(value=_checked_number(float, Limits(), value))
    kind = str(value.get("kind", "linear"))
    if kind not in KINDS or KINDS[kind] is Constant:
        raise ValueError(f"kind={kind}: there is no such schedule. Allowed: {', '.join(list(KINDS)[1:])}")
    errors: list[str] = []
    own = {key: item for key, item in value.items() if key != "steps" or KINDS[kind] is Staircase}
    unknown = own.keys() - {field.name for field in fields(Linear)} - {"steps"}
    schedule = _read(KINDS[kind], own, "", {}, errors)
    if errors or unknown:
        raise ValueError("; ".join([*errors, *(f"there is no key '{key}'" for key in unknown)]))
    return schedule

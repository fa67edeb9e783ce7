"""Nested dictionaries by keys with dots: flat, and what tells several of them apart."""

from typing import Any

Nested = dict[str, Any]


def flatten(values: Nested, prefix: str = "") -> Nested:
    """Nested sections as one level, with dots in the keys; an empty section stays a value."""
    flat: Nested = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def differences(*several: Nested, absent: Any = None) -> dict[str, tuple[Any, ...]]:
    """Keys, with dots, at which the dictionaries differ, with the value of each; `absent` where one lacks the key.

    A section is compared key by key where all have it and the last one lacks none of its keys; else as one value: laid
    over the others key by key, the differences then give the last dictionary.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for key in dict.fromkeys(key for values in several for key in values):
        here = tuple(values.get(key, absent) for values in several)
        if all(isinstance(value, dict) and here[-1].keys() >= value.keys() for value in reversed(here)):
            inner = differences(*here, absent=absent)
            found |= {f"{key}.{name}": values for name, values in inner.items()}
        elif any(value != here[0] for value in here):
            found[key] = here
    return found

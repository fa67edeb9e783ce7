"""Which keys declared options have: those of the parts that a configuration chooses, found from names alone."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from bn_mappo.core.options import Chosen, NoOptions
from bn_mappo.core.registry import Registry
from bn_mappo.core.schedules import Schedule, plain

Tree = dict[str, Any]  # keys of a configuration: a section is a tree again, everything else None


def parts(cls: type, values: dict[str, Any]) -> Iterator[tuple[str, Any, Registry | None]]:
    """Name, type and, where it names a part, registry of each field of a class of options."""
    for name, hint in hints(cls).items():
        metadata = getattr(hint, "__metadata__", ())
        yield name, hint, next((entry for entry in metadata if isinstance(entry, Registry)), None)


@cache
def hints(cls: type) -> dict[str, Any]:
    """The types of all fields of a class of options."""
    found = get_type_hints(cls, include_extras=True)
    return {field.name: found[field.name] for field in fields(cls)}


def options_of(registry: Registry, name: str) -> type:
    """The options that an entry of a registry declares."""
    declared: type = getattr(registry[name], "Options", NoOptions)
    return declared


def claimed(cls: type, values: dict[str, Any]) -> Tree:
    """The keys that exist for a run with these values."""
    tree: Tree = {}
    for name, hint, registry in parts(cls, values):
        tree[name] = None
        if registry is not None and name in values:
            tree |= claimed(options_of(registry, str(values[name])), values)
        elif is_dataclass(hint):
            section = values.get(name)
            tree[name] = claimed(hint, section if isinstance(section, dict) else {})  # type: ignore[arg-type]
    return tree


def prune(values: dict[str, Any], tree: Tree) -> dict[str, Any]:
    """The values whose keys are in the tree."""
    kept = {key: value for key, value in values.items() if key in tree}
    sections = {key: prune(kept[key], part) for key, part in tree.items() if part and isinstance(kept.get(key), dict)}
    return {**kept, **sections}


def to_plain(value: Any) -> Any:
    """Options as plain data; the keys of a chosen part beside its name."""
    if isinstance(value, Schedule):
        return plain(value)
    if not is_dataclass(value):
        return value
    flat: dict[str, Any] = {}
    for field in fields(value):
        item = getattr(value, field.name)
        flat[field.name] = item.name if isinstance(item, Chosen) else to_plain(item)
        if isinstance(item, Chosen):
            flat = {**to_plain(item.options), **flat}
    return flat

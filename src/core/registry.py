"""Names that YAML uses, and what they stand for."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

from bn_mappo.core.errors import unknown

Entry = TypeVar("Entry", bound=Callable[..., Any])
KEYS = ("env", "runner", "mac", "learner", "agent", "critic_type", "mixer", "dag.generator")  # of all registries


class Registry:
    """Maps the values of one configuration key to the classes or functions that build them."""

    made: ClassVar[dict[str, "Registry"]] = {}  # all of them, by key
    waiting: ClassVar[dict[str, list[tuple[str, str, Callable[..., Any]]]]] = {}  # for those that are not made yet

    def __init__(self, key: str):
        self.key = key
        self._entries: dict[str, Callable[..., Any]] = {}
        self.descriptions: dict[str, str] = {}
        self.made[key] = self
        for name, description, entry in self.waiting.pop(key, []):
            self.register(name, description)(entry)

    def register(self, name: str, description: str) -> Callable[[Entry], Entry]:
        """Decorator: `name` stands for this class or function; `description` is what `list` prints."""

        def add(entry: Entry) -> Entry:
            self._entries[name] = entry
            self.descriptions[name] = description
            return entry

        return add

    def remove(self, name: str) -> None:
        """Forget a name."""
        del self._entries[name], self.descriptions[name]

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name not in self._entries:
            raise unknown(self.key, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


def register(key: str, name: str, description: str) -> Callable[[Entry], Entry]:
    """Decorator: `name` becomes a value of the configuration's `key`, such as "env" or "dag.generator".

    An environment is a MultiAgentEnv (one game) or a BatchedGame (games on arrays); its keyword-only arguments are its
    env_args. A DAG generator is a DAGGenerator; the fields of its class `Options` are keys of the section `dag`. This
    loads nothing else of the package, for environment workers import the module of their game.
    """
    if key not in KEYS:
        raise unknown("key to register", key, KEYS)

    def add(entry: Entry) -> Entry:
        if key in Registry.made:
            return Registry.made[key].register(name, description)(entry)
        Registry.waiting.setdefault(key, []).append((name, description, entry))
        return entry

    return add

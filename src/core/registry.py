"""Names that YAML uses, and what they stand for."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from bn_mappo.core.errors import unknown

Entry = TypeVar("Entry", bound=Callable[..., Any])


class Registry:
    """Maps the values of one configuration key to the classes or functions that build them."""

    def __init__(self, key: str):
        self.key = key
        self._entries: dict[str, Callable[..., Any]] = {}
        self.descriptions: dict[str, str] = {}

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

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

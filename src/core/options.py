"""What components declare of their configuration: dataclasses of typed fields. Whoever reads YAML checks them.

Policies and learners also run inside other frameworks, where no validation library is installed: here the limits of a
number are only noted down, in a form that pydantic understands.
"""

import operator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar, dataclass_transform

Class = TypeVar("Class", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: Class) -> Class:
    """Class decorator: a frozen dataclass whose fields are keys of the configuration, each with its type."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    return made


class Chosen(NamedTuple):
    """The value of a key that names an entry of a registry, such as mac: the name, and the options of that entry.

    Declared as Annotated[Chosen, REGISTRY]. The entry's own keys stand beside the key, in the same section.
    """

    name: str
    options: Any  # an instance of the entry's class `Options`


@options
class NoOptions:
    """Of an entry that needs none."""


def refuse_words(value: Any) -> Any:
    """Let 2e5 stand for 200000, but neither true nor "3" for a number."""
    if isinstance(value, (bool, str)):
        raise ValueError("must be a number")
    return value


@dataclass(frozen=True)
class Limits:
    """The numbers that are allowed: at least `ge`, above `gt`, at most `le`, below `lt`; finite."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def bounds(self) -> dict[str, float]:
        """Those that are set."""
        return {name: bound for name, bound in vars(self).items() if bound is not None}

    def check_number(self, number: float, name: str = "") -> None:
        """ValueError where the number lies outside; `name` says which of several numbers it is."""
        words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
        holds = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
        for limit, bound in self.bounds().items():
            if not holds[limit](number, bound):
                raise ValueError(f"{name + '=' if name else ''}{number:g} must be {words[limit]} {bound:g}")

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """How pydantic asks a marker for its meaning."""
        finite = {"allow_inf_nan": False} if source is float else {}
        return before(refuse_words, {**handler(source), **finite, **self.bounds()})


def before(function: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """pydantic's schema of values that go through a function first."""
    return {"type": "function-before", "function": {"type": "no-info", "function": function}, "schema": schema}


Int = Annotated[int, Limits()]
Float = Annotated[float, Limits()]
Count = Annotated[int, Limits(ge=1)]  # at least one of something
Natural = Annotated[int, Limits(ge=0)]
N_SEEDS = 2**32  # that NumPy's global generator, which Sacred seeds, takes
Seed = Annotated[int, Limits(ge=0, lt=N_SEEDS)]
Fraction = Annotated[float, Limits(ge=0, le=1)]
Positive = Annotated[float, Limits(gt=0)]
NonNegative = Annotated[float, Limits(ge=0)]

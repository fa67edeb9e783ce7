"""Quantities that change with the fraction of training that is done: pure functions of it, nothing to save."""

from dataclasses import dataclass, fields
from math import cos, floor, pi
from typing import Annotated, Any, Literal

from bn_mappo.core.options import Count, Float, Fraction, Limits, options


@options
class Constant:
    """The same value throughout; a plain number in a configuration."""

    value: Float

    def __call__(self, fraction: float) -> float:
        return self.value


@options
class Linear:
    """From `start` to `end`, linearly over the fractions [begin, until] of training."""

    start: Float
    end: Float
    until: Annotated[float, Limits(gt=0, le=1)]
    begin: Fraction = 0.0
    kind: Literal["linear"] = "linear"

    def __call__(self, fraction: float) -> float:
        return self.start + (self.end - self.start) * progress(fraction, self.begin, self.until)


@options
class Cosine:
    """From `start` to `end` along half a cosine wave, flat at both ends, over the fractions [begin, until]."""

    start: Float
    end: Float
    until: Annotated[float, Limits(gt=0, le=1)]
    begin: Fraction = 0.0
    kind: Literal["cosine"] = "cosine"

    def __call__(self, fraction: float) -> float:
        share = (1 - cos(pi * progress(fraction, self.begin, self.until))) / 2
        return self.start + (self.end - self.start) * share


@options
class Staircase:
    """From `start` to `end` in equal steps, spread evenly over the fractions [begin, until] (paper, section 7.4.4).

    The first step comes 1 / steps of the way in, the last one at `until`.
    """

    start: Float
    end: Float
    until: Fraction
    steps: Count
    begin: Fraction = 0.0
    kind: Literal["staircase"] = "staircase"

    def __call__(self, fraction: float) -> float:
        done = floor(progress(fraction, self.begin, self.until) * self.steps)
        return self.end if done == self.steps else self.start + (self.end - self.start) * done / self.steps


Schedule = Constant | Linear | Cosine | Staircase
KINDS: dict[str, type[Schedule]] = {"constant": Constant, "linear": Linear, "cosine": Cosine, "staircase": Staircase}


def progress(fraction: float, begin: float, until: float) -> float:
    """The share of [begin, until] that lies before `fraction`, in [0, 1]; until = begin is a jump."""
    if until <= begin:
        return float(fraction >= until)
    return min(max(fraction - begin, 0.0) / (until - begin), 1.0)


def kind_of(value: Any) -> str:
    """Which schedule a configured value means: a number is a constant, a section without `kind` is linear."""
    if isinstance(value, dict):
        return str(value.get("kind", "linear"))
    return getattr(value, "kind", "constant")


def schedule(value: Any) -> Schedule:
    """The schedule that a configured value stands for: a number, {start: x, end: y, until: f, kind: ...}, or itself."""
    if isinstance(value, (Constant, Linear, Cosine, Staircase)):
        return value
    return KINDS[kind_of(value)](**value) if isinstance(value, dict) else Constant(value=float(value))


@dataclass(frozen=True)
class ScheduleLimits(Limits):
    """Limits of all values of a schedule."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """A union that is told apart by `kind_of`; the limits hold for the values, which lie between its ends."""
        number = handler.generate_schema(Annotated[float, Limits(**self.bounds())])
        made = {"type": "function-after", "function": {"type": "no-info", "function": schedule}, "schema": number}
        choices = {name: handler.generate_schema(kind) for name, kind in KINDS.items() if kind is not Constant}
        union = {"type": "tagged-union", "discriminator": kind_of, "choices": {"constant": made, **choices}}
        return {"type": "function-after", "function": {"type": "no-info", "function": self.check}, "schema": union}

    def check(self, value: Schedule) -> Schedule:
        """ValueError where an end lies outside of the limits, or the ramp ends before it begins."""
        for name in ("start", "end"):
            if hasattr(value, name):
                self.check_number(getattr(value, name), name)
        if not isinstance(value, Constant) and value.begin > value.until:
            raise ValueError(f"begin={value.begin:g} must not lie behind until={value.until:g}")
        return value


PositiveSchedule = Annotated[Schedule, ScheduleLimits(gt=0)]
NonNegativeSchedule = Annotated[Schedule, ScheduleLimits(ge=0)]
FractionSchedule = Annotated[Schedule, ScheduleLimits(ge=0, le=1)]


def plain(value: Schedule) -> float | dict[str, Any]:
    """The configured value that stands for this schedule, without what needs no mention."""
    if isinstance(value, Constant):
        return value.value
    values = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: item for name, item in values.items() if (name, item) not in (("begin", 0.0), ("kind", "linear"))}

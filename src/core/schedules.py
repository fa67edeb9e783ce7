"""Quantities that change with the fraction of training that is done: pure functions of it, nothing to save."""

from math import floor
from typing import NamedTuple


class Linear(NamedTuple):
    """From `start` to `end`, linearly over the fractions [0, until] of training, then constant."""

    start: float
    end: float
    until: float

    def __call__(self, fraction: float) -> float:
        return self.start + (self.end - self.start) * min(fraction / self.until, 1.0)


def staircase(fraction: float, begin: float, end: float, n_steps: int, start_value: float, end_value: float) -> float:
    """From start_value to end_value in n_steps equal steps, spread evenly over the fractions [begin, end].

    The first step comes 1/n_steps of the way in, the last one at `end`.
    """
    if fraction >= end:
        return end_value
    done = floor(max(fraction - begin, 0.0) / (end - begin) * n_steps) if end > begin else 0
    return start_value + (end_value - start_value) * done / n_steps


class DensityTarget(NamedTuple):
    """The regulariser alpha * |density - eta| and how both anneal (paper, section 7.4.4)."""

    a: float  # break points, fractions of training
    b: float
    c: float
    l_1: int  # steps of eta in [a, b)
    l_2: int  # steps of alpha in [b, c)
    eta_start: float
    eta_end: float
    alpha_start: float
    alpha_end: float

    def eta(self, fraction: float) -> float:
        """The density aimed at."""
        return staircase(fraction, self.a, self.b, self.l_1, self.eta_start, self.eta_end)

    def alpha(self, fraction: float) -> float:
        """The weight of the regulariser."""
        return staircase(fraction, self.b, self.c, self.l_2, self.alpha_start, self.alpha_end)

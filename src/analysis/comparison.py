"""Comparing algorithms over seeds with rliable: interquartile means and probabilities of improvement, with intervals.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice". rliable draws its bootstrap
from NumPy's global generator, so each function seeds that one and puts it back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rliable import library, metrics

Array = npt.NDArray[np.float64]

RESAMPLES = 2_000
CURVE_RESAMPLES = 300  # of each point of a curve


class Estimate(NamedTuple):
    """A statistic with its 95 % percentile interval of a bootstrap over seeds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def interquartile_mean(scores: Array) -> Estimate:
    """Mean of the middle half of the scores of the seeds, [B]."""
    return _estimate(scores[:, None], metrics.aggregate_iqm, RESAMPLES)


def interquartile_means(curves: Array) -> tuple[Array, Array, Array]:
    """The same at each evaluation: curves [B, E] -> value, low, high [E] each."""

    def iqm_of_each(scores: Array) -> Array:  # [B, 1, E]
        return np.array([metrics.aggregate_iqm(scores[..., e]) for e in range(scores.shape[-1])])

    with _seeded():
        scores = {"x": curves[:, None]}
        values, intervals = library.get_interval_estimates(scores, iqm_of_each, reps=CURVE_RESAMPLES)
    return values["x"], intervals["x"][0], intervals["x"][1]


def probability_of_improvement(x: Array, y: Array) -> Estimate:
    """P(X > Y) + P(X = Y) / 2 of the scores of two algorithms, [B] each, over all pairs of seeds."""
    return _estimate((x[:, None], y[:, None]), metrics.probability_of_improvement, RESAMPLES)


def _estimate(scores: Any, statistic: Callable[..., Any], resamples: int) -> Estimate:
    def as_array(*samples: Array) -> Array:
        return np.array([statistic(*samples)])

    with _seeded():
        values, intervals = library.get_interval_estimates({"x": scores}, as_array, reps=resamples)
    return Estimate(float(values["x"][0]), float(intervals["x"][0, 0]), float(intervals["x"][1, 0]))


@contextmanager
def _seeded() -> Iterator[None]:
    """The same resamples every time, and NumPy's global generator as it was."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)

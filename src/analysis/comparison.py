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
from scipy.stats import PermutationMethod, mannwhitneyu, trim_mean

Array = npt.NDArray[np.float64]

RESAMPLES = 2_000
CURVE_RESAMPLES = 300  # of each point of a curve
RANK_PERMUTATIONS = 9_999  # of the rank test; with fewer distinct ones (up to 7 seeds against 7) it goes through all
FEWEST_SEEDS = 4  # of either side of a contest: with 3 against 3 no rank test reaches 5 %, whatever the scores


class Estimate(NamedTuple):
    """A statistic with its 95 % percentile interval of a bootstrap over seeds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


class Contest(NamedTuple):
    """Whether X scores higher than Y, over all pairs of seeds."""

    probability: Estimate  # of improvement
    p_value: float  # two-sided, of the rank test; nan over several tasks, and below 2 seeds a side
    fewest_seeds: int

    @property
    def outcome(self) -> int:
        """1: X is better; -1: Y is; 0: undecided. It follows the interval, from FEWEST_SEEDS seeds on."""
        if self.fewest_seeds < FEWEST_SEEDS:
            return 0
        return int(self.probability.low > 0.5) - int(self.probability.high < 0.5)

    @property
    def remark(self) -> str:
        """Whether the rank test, which holds for few seeds too, agrees with the interval; empty: nothing to say."""
        if self.fewest_seeds < FEWEST_SEEDS:
            return f"fewer than {FEWEST_SEEDS} seeds a side decide nothing"
        if np.isnan(self.p_value) or not self.outcome:
            return ""
        agrees = "agrees" if self.p_value < 0.05 else "does not confirm it"
        return f"the rank test {agrees}: p = {self.p_value:.3g}"


def contest(x: Array, y: Array) -> Contest:
    """X against Y, scores of seeds, [B] each, or of seeds on K tasks, [B, K]."""
    if x.ndim == 2 and x.shape[1] == y.shape[1] == 1:  # one task
        x, y = x[:, 0], y[:, 0]
    p_value = rank_test(x, y) if x.ndim == 1 else float("nan")
    return Contest(probability_of_improvement(x, y), p_value, min(len(x), len(y)))


def rank_test(x: Array, y: Array) -> float:
    """Two-sided p-value of Mann and Whitney's test by permutation of the seeds, [B] each; nan below 2 seeds a side."""
    if min(len(x), len(y)) < 2:
        return float("nan")
    method = PermutationMethod(n_resamples=RANK_PERMUTATIONS, rng=np.random.default_rng(0))
    return float(mannwhitneyu(x, y, method=method).pvalue)


def interquartile_mean(scores: Array) -> Estimate:
    """Mean of the middle half of the scores of seeds, [B], or of seeds on K tasks, [B, K], resampled task by task."""
    return _estimate(scores.reshape(len(scores), -1), metrics.aggregate_iqm, RESAMPLES)


def interquartile_means(curves: Array, resamples: int = CURVE_RESAMPLES) -> tuple[Array, Array, Array]:
    """The same at each evaluation, or on each task: scores [B, E] -> value, low, high [E] each."""

    def iqm_of_each(scores: Array) -> Array:  # [B, 1, E]; as rliable's aggregate_iqm, for all E at once
        return np.asarray(trim_mean(scores[:, 0], proportiontocut=0.25, axis=0))

    with seeded():
        scores = {"x": curves[:, None]}
        values, intervals = library.get_interval_estimates(scores, iqm_of_each, reps=resamples)
    return values["x"], intervals["x"][0], intervals["x"][1]


def probability_of_improvement(x: Array, y: Array) -> Estimate:
    """P(X > Y) + P(X = Y) / 2 of the scores of two algorithms over all pairs of seeds.

    Scores [B] each; or [B, K] each, of K tasks: the mean over the tasks, with seeds resampled task by task.
    """
    pair = x.reshape(len(x), -1), y.reshape(len(y), -1)
    return _estimate(pair, metrics.probability_of_improvement, RESAMPLES)


def _estimate(scores: Any, statistic: Callable[..., Any], resamples: int) -> Estimate:
    def as_array(*samples: Array) -> Array:
        return np.array([statistic(*samples)])

    with seeded():
        values, intervals = library.get_interval_estimates({"x": scores}, as_array, reps=resamples)
    return Estimate(float(values["x"][0]), float(intervals["x"][0, 0]), float(intervals["x"][1, 0]))


@contextmanager
def seeded() -> Iterator[None]:
    """The same resamples every time, and NumPy's global generator as it was."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)

"""Statistics over seeds: means as papers print them, medians and intervals, paired differences."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

Array = npt.NDArray[np.float64]

RESAMPLES = 10_000  # of the bootstrap
CONFIDENCE = 0.95


class Summary(NamedTuple):
    """One quantity over the seeds; the interval is that of the median."""

    mean: float
    standard_error: float
    median: float
    low: float
    high: float
    minimum: float
    maximum: float


class PairedDifference(NamedTuple):
    """x - y over the same seeds; the interval is that of the mean difference."""

    mean: float
    low: float
    high: float
    seeds_above: int  # seeds with x > y
    seeds_below: int
    seeds: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def summarise(values: Array) -> Summary:
    """Mean, standard error s / sqrt(n), median, its exact interval from order statistics, and range, of values [B]."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    low, high = median_interval(values)
    return Summary(
        float(values.mean()), error, float(np.median(values)), low, high, float(values.min()), float(values.max())
    )


def median_interval(values: Array) -> tuple[float, float]:
    """[x_(k), x_(n+1-k)] of values [B], with the largest k for which it covers the median with 95 % or more.

    The number of values below the median is binomial(n, 1/2), so the coverage is 1 - 2 P(X < k) for any continuous
    distribution. With fewer than 6 values no interval covers it and the result is the range.
    """
    ordered = np.sort(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, len(values), 0.5))  # smallest k with P(X <= k) >= 2.5 %
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[-rank])


def paired_difference(x: Array, y: Array, seed: int = 0) -> PairedDifference:
    """Mean of x - y (both [B], same seeds) with its 95 % percentile bootstrap interval over seeds."""
    difference = x - y  # [B]
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(difference), size=(RESAMPLES, len(difference)))  # [R, B]
    low, high = np.quantile(difference[draws].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    above, below = int((difference > 0).sum()), int((difference < 0).sum())
    return PairedDifference(float(difference.mean()), float(low), float(high), above, below, len(difference))


def mean_intervals(values: Array, seed: int = 0) -> tuple[Array, Array]:
    """95 % percentile bootstrap interval of the mean over seeds, of values [S, T] at each of T steps: two arrays [T].

    Whole curves are drawn again, so that the steps of one seed stay together. One seed: the curve itself.
    """
    rng = np.random.default_rng(seed)
    n_seeds = len(values)
    counts = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=RESAMPLES)  # [R, S]
    low, high = np.empty(values.shape[1]), np.empty(values.shape[1])
    for step, column in enumerate(values.T):
        low[step], high[step] = np.quantile(counts @ column / n_seeds, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return low, high

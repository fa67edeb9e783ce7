"""Statistics over seeds: means as papers print them, medians and intervals, paired differences."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, bootstrap

Array = npt.NDArray[np.float64]

RESAMPLES = 10_000  # of the bootstrap
CONFIDENCE = 0.95
NUMBERS_AT_ONCE = 4_000_000  # of one batch of resamples: memory


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


def paired_difference(x: Array, y: Array) -> PairedDifference:
    """Mean of x - y (both [B], same seeds) with its 95 % percentile bootstrap interval over seeds."""
    difference = x - y  # [B]
    low, high = mean_intervals(difference[:, None])  # [1] each
    above, below = int((difference > 0).sum()), int((difference < 0).sum())
    return PairedDifference(float(difference.mean()), float(low[0]), float(high[0]), above, below, len(difference))


def mean_intervals(values: Array) -> tuple[Array, Array]:
    """95 % percentile bootstrap intervals of means over n samples (seeds, or episodes): values [n, F] -> low, high [F].

    A sample's F values are drawn together. Always the same draws; one sample: itself.
    """
    if len(values) < 2 or values.shape[1] == 0:
        return values.mean(0), values.mean(0)
    result = bootstrap(
        (values,),
        np.mean,
        axis=0,
        n_resamples=RESAMPLES,
        batch=max(1, NUMBERS_AT_ONCE // values.size),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high

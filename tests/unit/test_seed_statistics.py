"""Statistics over seeds against worked numbers and simulated coverage."""

import numpy as np
import pytest

from bn_mappo.analysis.seed_statistics import median_interval, paired_difference, summarise


def test_summary_of_a_worked_example():
    summary = summarise(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (summary.mean, summary.median, summary.minimum, summary.maximum) == (3.0, 2.5, 1.0, 6.0)
    assert summary.standard_error == pytest.approx(np.sqrt(14 / 3) / 2)
    assert np.isnan(summarise(np.array([1.0])).standard_error)


@pytest.mark.parametrize(("count", "first"), [(10, 2), (20, 6), (50, 18)])  # ranks from printed tables
def test_median_interval_takes_the_tabulated_ranks(count, first):
    values = np.arange(1.0, count + 1)
    assert median_interval(np.random.default_rng(0).permutation(values)) == (first, count + 1 - first)


def test_median_interval_covers_the_median_often_enough():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(2000, 25))
    covered = [low <= np.log(2) <= high for low, high in map(median_interval, samples)]
    assert 0.94 < np.mean(covered) < 0.99


def test_paired_difference_sees_what_unpaired_numbers_hide():
    rng = np.random.default_rng(1)
    base = rng.normal(size=50) * 10
    shifted = base + 0.5 + 0.1 * rng.normal(size=50)
    found = paired_difference(shifted, base)
    assert found.low < 0.5 < found.high and found.sign == 1
    assert paired_difference(base, shifted).sign == -1
    assert (found.seeds_above, found.seeds_below, found.seeds) == (50, 0, 50)
    assert paired_difference(base, base).sign == 0


def test_paired_interval_has_the_width_of_the_standard_error():
    difference = np.random.default_rng(2).normal(size=50)
    found = paired_difference(difference, np.zeros(50))
    expected = 2 * 1.96 * difference.std() / np.sqrt(50)
    assert found.high - found.low == pytest.approx(expected, rel=0.1)

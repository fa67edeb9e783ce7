"""Statistics over seeds, against slow obvious ones."""

import numpy as np
from scipy.stats import trim_mean

from bn_mappo.analysis.comparison import interquartile_mean, interquartile_means, probability_of_improvement


def test_the_interquartile_mean_leaves_out_the_worst_and_the_best_quarter():
    scores = np.array([-1000.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0])
    estimate = interquartile_mean(scores)
    assert estimate.value == 3.5 == trim_mean(scores, 0.25)
    assert estimate.low <= estimate.value <= estimate.high
    curve = interquartile_means(np.stack([scores, 2 * scores], axis=1))
    np.testing.assert_allclose(curve[0], [3.5, 7.0])


def test_the_probability_of_improvement_counts_pairs_of_seeds():
    x, y = np.array([1.0, 3.0, 5.0]), np.array([2.0, 3.0])
    pairs = [(a > b) + 0.5 * (a == b) for a in x for b in y]
    assert probability_of_improvement(x, y).value == np.mean(pairs)


def test_intervals_are_the_same_every_time_and_leave_the_global_generator_alone():
    scores = np.random.default_rng(0).normal(size=12)
    np.random.seed(5)
    expected = np.random.RandomState(5).random(3)
    assert interquartile_mean(scores) == interquartile_mean(scores)
    np.testing.assert_array_equal(np.random.random(3), expected)

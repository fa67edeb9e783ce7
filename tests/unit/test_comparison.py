"""Statistics over seeds, against slow obvious ones."""

import itertools

import numpy as np
import pytest
from scipy.stats import trim_mean

from bn_mappo.analysis.comparison import (
    Contest,
    Estimate,
    contest,
    interquartile_mean,
    interquartile_means,
    probability_of_improvement,
    rank_test,
)


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


@pytest.mark.slow
def test_several_tasks_count_alike_and_are_resampled_one_by_one():
    """X is far better on one task and far worse on the other, in every seed: the mean is one half without any doubt."""
    rng = np.random.default_rng(0)
    x, y = rng.random((5, 2)) + np.array([10, 0]), rng.random((5, 2)) + np.array([0, 10])
    assert probability_of_improvement(x, y) == Estimate(0.5, 0.5, 0.5)
    scores = np.arange(16.0).reshape(8, 2)
    assert interquartile_mean(scores).value == trim_mean(scores.ravel(), 0.25)


@pytest.mark.parametrize("digits", [3, 0])  # 0: ties
def test_the_rank_test_goes_through_all_ways_to_divide_the_seeds(digits):
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.6, 1, 5).round(digits), rng.normal(0, 1, 5).round(digits)
    everything = np.concatenate([x, y])

    def pairs(some):
        mine, others = everything[list(some)], np.delete(everything, list(some))
        return sum((a > b) + 0.5 * (a == b) for a in mine for b in others)

    counts = np.array([pairs(some) for some in itertools.combinations(range(10), 5)])
    as_far = (np.abs(counts - 12.5) >= abs(pairs(range(5)) - 12.5) - 1e-9).mean()
    assert rank_test(x, y) == pytest.approx(as_far)


def test_the_outcome_follows_the_interval_and_the_remark_the_rank_test():
    def of(low, high, p_value=0.01, n_seeds=5):
        return Contest(Estimate(0.5, low, high), p_value, n_seeds)

    assert [of(0.51, 1).outcome, of(0.5, 1).outcome, of(0.2, 0.8).outcome, of(0, 0.49).outcome] == [1, 0, 0, -1]
    assert "agrees" in of(0.6, 1).remark and "not confirm" in of(0.6, 1, p_value=0.1).remark
    assert of(0.2, 0.8).remark == of(0.6, 1, p_value=float("nan")).remark == ""
    assert contest(np.array([1.0]), np.array([0.0])).outcome == 0, "one seed a side"
    assert of(1, 1, n_seeds=3).outcome == 0 and "fewer than 4" in of(1, 1, n_seeds=3).remark


@pytest.mark.slow
def test_a_planted_difference_is_found_and_equal_scores_are_undecided():
    x, y = np.random.default_rng(4).normal(size=(2, 5)) + np.array([[3.0], [0.0]])
    assert (contest(x, y).outcome, contest(y, x).outcome, contest(x, x).outcome) == (1, -1, 0)
    assert contest(x, y).p_value == pytest.approx(2 / 252), "all 25 pairs agree"

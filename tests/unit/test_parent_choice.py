"""Parents against random parents: moments by enumeration, uniform p-values where nothing is chosen, planted effects."""

import itertools

import numpy as np
import pytest
from scipy.stats import kstest

from bn_mappo.analysis.parent_choice import Choice, candidates, choice, choices, pooled

N = 5


def drawn(rng, could, n_parents, scores):
    """The n_parents candidates with the highest scores, [K, N, N] bool; fewer where there are fewer."""
    ranked = np.where(could, scores, -np.inf).argsort(1)[:, ::-1].argsort(1)  # rank of each candidate, 0 the highest
    return could & (ranked < n_parents[:, None])


def steps_of(rng, n_episodes: int, length: int):
    """Candidates of agents of whom some have died, a quantity that drifts slowly, and the number of parents."""
    episode = np.repeat(np.arange(n_episodes), length)
    alive = rng.random((len(episode), N)) < 0.85
    start, drift = rng.normal(size=(n_episodes, N)), 0.2 * rng.normal(size=(len(episode), N))
    health = start[episode] + drift
    quantity = np.broadcast_to(health[:, :, None], (len(episode), N, N))
    return episode, candidates(alive, None), quantity, rng.integers(0, 3, size=(len(episode), N))


def test_candidates_are_living_agents_that_act_earlier():
    rng = np.random.default_rng(0)
    alive, order = rng.random((50, N)) < 0.7, rng.random((50, N)).argsort(1)
    found, by_number = candidates(alive, order), candidates(alive, None)
    for k in range(50):
        for j, i in itertools.product(range(N), repeat=2):
            earlier = list(order[k]).index(j) < list(order[k]).index(i)
            assert found[k, j, i] == (alive[k, j] and alive[k, i] and earlier)
            assert by_number[k, j, i] == (alive[k, j] and alive[k, i] and j < i)


def test_mean_and_variance_are_those_of_all_ways_to_choose():
    rng = np.random.default_rng(1)
    alive = np.array([[True] * 5, [True, True, False, True, True]])
    could, quantity = candidates(alive, None), rng.normal(size=(2, N, N))
    chosen = np.zeros((2, N, N), dtype=bool)
    chosen[0, [0, 2], 4] = chosen[0, 1, 3] = chosen[1, [0, 1], 3] = chosen[1, 0, 1] = chosen[1, 2, 4] = True
    found = choice(chosen, could, quantity, np.array([0, 1]))
    for k, i in itertools.product(range(2), range(N)):
        able = [j for j in range(i) if alive[k, j] and alive[k, i]]
        n_parents = sum(chosen[k, j, i] for j in able)
        sums = [sum(quantity[k, j, i] for j in group) for group in itertools.combinations(able, n_parents)]
        assert found.n_parents[k, i] == n_parents and found.n_others[k, i] == len(able) - n_parents
        assert found.expected[k, i] == pytest.approx(np.mean(sums))
        assert found.variance[k, i] == pytest.approx(np.var(sums), abs=1e-12)
        assert found.parents[k, i] == pytest.approx(sum(quantity[k, j, i] for j in able if chosen[k, j, i]))
    assert found.n_parents[1, 4] == 0, "the edge from agent 2, which is dead, does not count"


def p_values(n_replicates: int, keeps_parents: bool) -> np.ndarray:
    """Of the tests over steps and over episodes where parents are random, [n_replicates, 2]."""
    found = []
    for seed in range(n_replicates):
        rng = np.random.default_rng([1, seed])
        episode, could, quantity, n_parents = steps_of(rng, n_episodes=40, length=8)
        shape = (40, N, N) if keeps_parents else quantity.shape
        scores = rng.random(shape)
        result = choice(
            drawn(rng, could, n_parents, scores[episode] if keeps_parents else scores), could, quantity, episode
        )
        found.append((result.p_steps, result.p_episodes))
    return np.array(found)


def test_random_parents_give_uniform_p_values():
    steps, episodes = p_values(600, keeps_parents=False).T
    assert kstest(steps, "uniform").pvalue > 0.01
    assert kstest(episodes, "uniform").pvalue > 0.01


def test_random_parents_that_are_kept_for_an_episode_deceive_the_test_over_steps_alone():
    steps, episodes = p_values(300, keeps_parents=True).T
    assert (steps < 0.05).mean() > 0.15
    assert kstest(episodes, "uniform").pvalue > 0.01


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_preference_is_found_with_its_sign_and_size(sign):
    rng = np.random.default_rng(5)
    episode, could, quantity, n_parents = steps_of(rng, 40, 8)
    scores = sign * quantity + 2 * rng.normal(size=quantity.shape)  # a weak preference
    chosen = drawn(rng, could, n_parents, scores)
    found = choice(chosen, could, quantity, episode)
    assert found.p_steps < 1e-4 and found.p_episodes < 1e-3
    assert np.sign(found.excess) == sign
    assert found.parents_mean == pytest.approx(quantity[chosen & could].mean())
    assert found.others_mean == pytest.approx(quantity[could & ~chosen].mean())
    again = [
        choice(drawn(rng, could, n_parents, rng.random(could.shape)), could, quantity, episode) for _ in range(200)
    ]
    means = [one.parents_mean for one in again]
    assert found.random_mean == pytest.approx(np.mean(means), abs=4 * np.std(means) / np.sqrt(200))
    assert found.random_deviation == pytest.approx(np.std(means), rel=0.2)


def test_who_has_no_choice_has_no_p_value():
    could = candidates(np.ones((30, 2), dtype=bool), None)
    quantity = np.random.default_rng(0).normal(size=(30, 2, 2))
    found = choice(could, could, quantity, np.repeat(np.arange(10), 3))
    assert np.isnan(found.p_steps) and np.isnan(found.p_episodes)
    assert found.excess == pytest.approx(0)


def test_agents_and_pools_add_up():
    rng = np.random.default_rng(2)
    episode, could, quantity, n_parents = steps_of(rng, 6, 5)
    found = choice(drawn(rng, could, n_parents, rng.random(could.shape)), could, quantity, episode)
    of_agents = [found.of_agent(i) for i in range(N)]
    assert sum(one.parents.sum() for one in of_agents) == pytest.approx(found.parents.sum())
    twice = pooled([found, found])
    assert twice.parents_mean == pytest.approx(found.parents_mean) and len(twice.n_parents) == 12
    assert isinstance(twice, Choice)


def test_recorded_steps_are_read_from_the_childs_side():
    """Agent 2 sees agent 0 and not agent 1; agent 0 does not see agent 2. Both are its parents."""
    sees = np.zeros((1, 3, 3), dtype=bool)
    sees[0, 2, 0] = True
    adjacency = np.zeros((1, 3, 3), dtype=np.uint8)
    adjacency[0, :2, 2] = 1
    steps = {
        "episode": np.zeros(1, dtype=int),
        "is_alive": np.ones((1, 3), dtype=bool),
        "adjacency": adjacency,
        "sees_ally": sees,
        "health": np.array([[0.2, 0.6, 1.0]]),
        "distance": np.array([[[0.0, 1.0, 3.0], [1.0, 0.0, 5.0], [3.0, 5.0, 0.0]]]),
    }
    found = choices(steps)
    assert found["visible"].parents_mean == 0.5
    assert found["health"].parents_mean == pytest.approx(0.4)
    assert found["distance"].parents_mean == 4.0
    assert found["health"].of_agent(1).n_others.sum() == 1

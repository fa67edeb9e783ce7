"""Subteams: what a game is beyond a sum over them, and the bound that follows for policies that are a product."""

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.tabular.ascent import ascend
from bn_mappo.tabular.evaluation import evaluate, start_value
from bn_mappo.tabular.game import Game, game_from_arrays
from bn_mappo.tabular.optimum import optimal_value
from bn_mappo.tabular.policy import normal_logits
from bn_mappo.tabular.subteams import remainder, suboptimality_bound, subteam_dag, subteam_gains
from tabular_games import random_game

TEAMS = ((0, 2), (1, 3))  # not neighbours, so that an error in the order of the axes shows


def nearly_sum_game(noise: float, seed: int, gamma: float = 0.8) -> Game:
    """Four agents of two actions, three states; reward and transition are sums over TEAMS but for the noise."""
    rng = np.random.default_rng(seed)
    n_states, shape = 3, (2, 2, 2, 2)
    reward, transition = np.zeros((n_states, *shape)), np.zeros((n_states, *shape, n_states))
    ours, theirs = rng.random((2, n_states, 2, 2))
    moves = rng.dirichlet(np.ones(n_states), size=(2, n_states, 2, 2))
    for s, a, b, c, d in np.ndindex(n_states, *shape):
        reward[s, a, b, c, d] = 0.5 * (ours[s, a, c] + theirs[s, b, d])
        transition[s, a, b, c, d] = 0.5 * (moves[0, s, a, c] + moves[1, s, b, d])
    reward = (1 - noise) * reward + noise * rng.random(reward.shape)
    transition = (1 - noise) * transition + noise * rng.dirichlet(np.ones(n_states), size=transition.shape[:-1])
    return game_from_arrays(transition, reward, gamma, np.full(n_states, 1 / n_states))


def test_of_two_by_two_actions_a_quarter_of_the_interaction_remains():
    """In closed form: a sum a_i + b_j cannot change r00 - r01 - r10 + r11, and its best error is spread evenly."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        reward = rng.standard_normal((1, 2, 2))
        game = game_from_arrays(np.ones((1, 2, 2, 1)), reward, 0.5, [1.0])
        (r00, r01), (r10, r11) = reward[0]
        left = remainder(game, [[0], [1]])
        assert left.reward == pytest.approx(abs(r00 - r01 - r10 + r11) / 4, abs=1e-9)
        assert left.transition == pytest.approx(0, abs=1e-9)
        assert remainder(game, [[0, 1]]).reward == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1])
def test_the_remainder_is_at_most_the_noise_and_only_of_the_right_teams(noise):
    game = nearly_sum_game(noise, seed=1)
    left, wrong = remainder(game, TEAMS), remainder(game, ((0, 1), (2, 3)))
    assert left.reward <= noise + 1e-9 and left.transition <= noise + 1e-9
    assert (left.reward > 1e-4) == (noise > 0) and (left.transition > 1e-4) == (noise > 0)
    assert wrong.reward > 0.05 and wrong.transition > 0.02


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.3])
def test_no_policy_is_further_from_the_optimum_than_the_bound(noise):
    for seed in range(3):
        game, dag = nearly_sum_game(noise, seed), subteam_dag(TEAMS, 4)
        evaluation = evaluate(game, normal_logits(game, dag, seeds=range(20)))
        gap = optimal_value(game) - start_value(game, evaluation.values)
        assert (gap <= suboptimality_bound(game, TEAMS, evaluation) + 1e-9).all()


def test_the_bound_holds_for_any_game_and_partition():
    for seed in range(5):
        game = random_game((2, 3, 2), 3, seed)
        for teams in ([[0], [1], [2]], [[0, 2], [1]], [[0, 1, 2]]):
            evaluation = evaluate(game, normal_logits(game, subteam_dag(teams, 3), seeds=range(10)))
            gap = optimal_value(game) - start_value(game, evaluation.values)
            assert (gap <= suboptimality_bound(game, teams, evaluation) + 1e-9).all()


def test_ascent_in_a_sum_game_ends_at_the_optimum_and_the_bound_says_so():
    game, dag = nearly_sum_game(0.0, seed=2), subteam_dag(TEAMS, 4)
    *_, last = ascend(
        game, dag, normal_logits(game, dag, range(10)), step_size=2.0, iterations=4000, evaluate_every=4000
    )
    evaluation = evaluate(game, last.logits)
    gap = optimal_value(game) - last.value
    bound = suboptimality_bound(game, TEAMS, evaluation)
    assert (gap >= -1e-9).all() and (gap <= bound + 1e-9).all()
    assert bound.max() < 0.1 * optimal_value(game), "the bound is of use here"


def test_nothing_is_gained_by_a_team_of_all_at_the_optimum():
    game = random_game((2, 2), 3, 0)
    dag = subteam_dag([[0, 1]], 2)
    *_, last = ascend(
        game, dag, normal_logits(game, dag, range(4)), step_size=5.0, iterations=6000, evaluate_every=6000
    )
    gains = subteam_gains(game, [[0, 1]], evaluate(game, last.logits))
    gap = optimal_value(game) - last.value
    assert (gains >= gap - 1e-9).all() and gains.min() < 0.05


@pytest.mark.parametrize("teams", [[[0], [1]], [[0, 1], [1, 2]], [[0, 1, 2, 3]], []])
def test_what_is_no_partition_is_refused(teams):
    with pytest.raises(ConfigError, match="agents 0 to 2 must be in one"):
        subteam_dag(teams, 3)

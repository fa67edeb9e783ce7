"""V, visitation and the optimum against rollouts, enumeration and known numbers."""

from itertools import product

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.games.coordination_game import optimal_value as closed_form_optimum
from bn_mappo.envs.games.coordination_game import tabular_coordination_game
from bn_mappo.tabular.dags import named_dag
from bn_mappo.tabular.evaluation import evaluate, start_value
from bn_mappo.tabular.optimum import optimal_value, price_of_anarchy
from bn_mappo.tabular.policy import joint_policy, local_policies, normal_logits
from tabular_games import joint_actions, random_dag, random_game, reward_at, slow_start_value, transition_at


@pytest.fixture
def evaluated():
    game = random_game((2, 3, 2), 4, seed=1, gamma=0.8)
    dag = random_dag(3, seed=1)
    return game, evaluate(game, normal_logits(game, dag, seeds=[0]))


def test_value_is_that_of_sampled_rollouts(evaluated):
    game, evaluation = evaluated
    rng = np.random.default_rng(0)
    games, steps = 20_000, 80  # 0.8 ** 80 is 2e-8
    joint = evaluation.joint.reshape(-1, game.n_states)  # [K, S]
    reward = np.broadcast_to(game.reward, (*game.n_actions, 1, game.n_states)).reshape(-1, game.n_states)  # [K, S]
    state = rng.choice(game.n_states, size=games, p=game.mu)
    returns = np.zeros(games)
    for t in range(steps):
        action = (rng.random(games) > joint.cumsum(0)[:, state]).sum(0).clip(max=len(joint) - 1)
        returns += game.gamma**t * reward[action, state]
        ahead = game.transition[action, state].cumsum(-1)  # [games, S']
        state = (rng.random(games)[:, None] > ahead).sum(-1).clip(max=game.n_states - 1)
    error = returns.std() / np.sqrt(games)
    assert abs(returns.mean() - start_value(game, evaluation.values)[0]) < 4 * error


def test_value_and_visitation_are_those_of_pushing_the_distribution_forward(evaluated):
    game, evaluation = evaluated
    joint = evaluation.joint.reshape(-1, game.n_states)
    distribution, value, visits = game.mu.copy(), 0.0, np.zeros(game.n_states)
    for t in range(300):
        visits += (1 - game.gamma) * game.gamma**t * distribution
        after = np.zeros(game.n_states)
        for state in range(game.n_states):
            for k, actions in enumerate(joint_actions(game)):
                mass = distribution[state] * joint[k, state]
                value += game.gamma**t * mass * reward_at(game, state, actions)
                after += mass * transition_at(game, state, k)
        distribution = after
    assert value == pytest.approx(start_value(game, evaluation.values)[0], rel=1e-10)
    np.testing.assert_allclose(evaluation.visitation[0], visits, rtol=1e-10)
    assert evaluation.visitation[0].sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_value_is_that_of_the_slow_loop(seed):
    game = random_game((3, 2, 2), 3, seed)
    dag = random_dag(3, seed)
    logits = normal_logits(game, dag, seeds=[7, 9])
    value = start_value(game, evaluate(game, logits).values)
    assert value == pytest.approx([slow_start_value(game, dag, logits, batch) for batch in range(2)], rel=1e-12)


def test_joint_policy_is_a_distribution_and_follows_the_dag():
    game = random_game((2, 3, 2), 2, seed=3)
    dag = np.array([[0, 0, 0], [1, 0, 1], [0, 0, 0]])  # agent 1 is the parent of agents 0 and 2
    policies = local_policies(normal_logits(game, dag, seeds=[0]))
    joint = joint_policy(policies)
    np.testing.assert_allclose(joint.sum(axis=(0, 1, 2)), 1)
    for a0, a1, a2 in product(range(2), range(3), range(2)):
        by_hand = policies[1][0, a1, 0] * policies[0][a0, a1, 0] * policies[2][0, a1, a2]
        np.testing.assert_allclose(joint[a0, a1, a2], by_hand)


@pytest.mark.parametrize(("n_agents", "known"), [(2, 47.799), (3, 43.104), (5, 53.778)])
def test_optimum_of_the_coordination_game_is_the_known_one(n_agents, known):
    game = tabular_coordination_game(n_agents)
    assert optimal_value(game) == pytest.approx(known, abs=1.5e-3)  # the source prints cut-off digits
    assert optimal_value(game) == pytest.approx(closed_form_optimum(n_agents), rel=1e-10)


def test_strict_reading_of_the_reward_changes_three_agents_only():
    for n_agents in (2, 5):
        inclusive, strict = (
            tabular_coordination_game(n_agents),
            tabular_coordination_game(n_agents, reward_bound="strict"),
        )
        np.testing.assert_array_equal(inclusive.reward, strict.reward)
    assert set(tabular_coordination_game(3).reward.ravel()) == {0, 1, 2, 3}
    strict = tabular_coordination_game(3, reward_bound="strict")
    assert set(strict.reward.ravel()) == {2, 3}
    assert optimal_value(strict) == pytest.approx(closed_form_optimum(3, reward_bound="strict"), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_optimum_is_that_of_enumerating_deterministic_policies(seed):
    game = random_game((2, 2), 3, seed)
    best = -np.inf
    for choice in product(range(4), repeat=3):
        chain = np.stack([game.transition[k, s] for s, k in enumerate(choice)])
        reward = np.array([game.reward.reshape(4, 3)[k, s] for s, k in enumerate(choice)])
        best = max(best, game.mu @ np.linalg.solve(np.eye(3) - game.gamma * chain, reward))
    assert optimal_value(game) == pytest.approx(best, rel=1e-10)


def test_price_of_anarchy_needs_rewards_of_one_sign():
    game = tabular_coordination_game(2)
    evaluation = evaluate(game, normal_logits(game, named_dag("full", 2), seeds=[0, 1]))
    ratio = price_of_anarchy(game, start_value(game, evaluation.values), optimal_value(game))
    assert ((ratio > 0) & (ratio < 1)).all()
    loss = type(game)("loss", game.n_actions, game.transition, game.reward - 2, game.gamma, game.mu)
    with pytest.raises(ConfigError, match="add a constant"):
        price_of_anarchy(loss, start_value(loss, evaluation.values), 1.0)

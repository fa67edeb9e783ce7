"""Lemma 5.1 against autograd, central differences and its textbook special cases."""

import numpy as np
import pytest
import torch

from bn_mappo.envs.games.coordination_game import tabular_coordination_game
from bn_mappo.tabular.dags import named_dag
from bn_mappo.tabular.evaluation import evaluate
from bn_mappo.tabular.gradient import advantage, augmented_visitation, policy_gradient
from bn_mappo.tabular.policy import normal_logits
from tabular_games import CASES, joint_actions, random_dag, random_game, slow_start_value, slow_value


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_autograd(case):
    game = random_game(*case)
    adjacency = random_dag(game.n_agents, case[-1])
    logits = normal_logits(game, adjacency, seeds=[3, 8])
    ours = policy_gradient(game, adjacency, evaluate(game, logits))
    tensors = [torch.from_numpy(table).requires_grad_() for table in logits]
    for batch in range(2):
        theirs = torch.autograd.grad(slow_value(game, adjacency, tensors, batch), tensors)
        for mine, other in zip(ours, theirs, strict=True):
            reference = other.numpy()[..., batch, :]
            assert np.abs(reference).max() > 1e-6
            np.testing.assert_allclose(mine[..., batch, :], reference, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_central_differences(case):
    game = random_game(*case)
    adjacency = random_dag(game.n_agents, case[-1])
    logits = normal_logits(game, adjacency, seeds=[5])
    gradient = policy_gradient(game, adjacency, evaluate(game, logits))
    rng = np.random.default_rng(case[-1])
    for _ in range(3):
        direction = [rng.standard_normal(table.shape) for table in logits]
        step = 1e-5
        ahead = slow_start_value(game, adjacency, [t + step * d for t, d in zip(logits, direction, strict=True)])
        behind = slow_start_value(game, adjacency, [t - step * d for t, d in zip(logits, direction, strict=True)])
        slope = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True))
        assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_the_lemma_as_printed(case):
    game = random_game(*case)
    adjacency = random_dag(game.n_agents, case[-1])
    evaluation = evaluate(game, normal_logits(game, adjacency, seeds=[1, 2]))
    for agent, gradient in enumerate(policy_gradient(game, adjacency, evaluation)):
        visitation = augmented_visitation(evaluation, adjacency, agent)
        printed = visitation * evaluation.policies[agent] * advantage(evaluation, adjacency, agent) / (1 - game.gamma)
        np.testing.assert_allclose(gradient, printed, rtol=1e-8, atol=1e-13)


def test_one_agent_gives_the_textbook_softmax_policy_gradient():
    game = random_game((4,), 5, seed=11)
    evaluation = evaluate(game, normal_logits(game, named_dag("uncorrelated", 1), seeds=[0]))
    (gradient,) = policy_gradient(game, named_dag("uncorrelated", 1), evaluation)
    for state in range(5):
        for action in range(4):
            policy = evaluation.policies[0][action, 0, state]
            gain = evaluation.action_values[action, 0, state] - evaluation.values[0, state]
            textbook = evaluation.visitation[0, state] * policy * gain / (1 - game.gamma)
            assert gradient[action, 0, state] == pytest.approx(textbook, rel=1e-9)


def test_empty_dag_gives_the_product_policy_formula():
    game = random_game((2, 3, 2), 3, seed=12)
    dag = named_dag("uncorrelated", 3)
    evaluation = evaluate(game, normal_logits(game, dag, seeds=[0]))
    gradient = policy_gradient(game, dag, evaluation)
    local = [evaluation.policies[i].reshape(game.n_actions[i], game.n_states) for i in range(3)]
    for agent in range(3):
        for state in range(game.n_states):
            marginal = np.zeros(game.n_actions[agent])  # E_{a^-i} Q(s, a^i, a^-i)
            for actions in joint_actions(game):
                weight = np.prod([local[j][actions[j], state] for j in range(3) if j != agent])
                marginal[actions[agent]] += weight * evaluation.action_values[(*actions, 0, state)]
            gain = marginal - evaluation.values[0, state]
            product_form = evaluation.visitation[0, state] * local[agent][:, state] * gain / (1 - game.gamma)
            ours = gradient[agent].reshape(game.n_actions[agent], game.n_states)[:, state]
            np.testing.assert_allclose(ours, product_form, rtol=1e-9, atol=1e-14)


def test_a_game_that_forgets_its_state_takes_the_short_way_to_the_same_gradient():
    short = tabular_coordination_game(3)
    wide = np.repeat(short.transition, short.n_states, axis=1)  # the same P, one row for each state
    dense = type(short)("dense", short.n_actions, wide, short.reward, short.gamma, short.mu)
    assert short.forgets_state and not dense.forgets_state
    dag = named_dag("line", 3)
    logits = normal_logits(short, dag, seeds=[0, 1, 2])
    quick, slow = evaluate(short, logits), evaluate(dense, logits)
    np.testing.assert_allclose(quick.values, slow.values, rtol=1e-12)
    pairs = zip(policy_gradient(short, dag, quick), policy_gradient(dense, dag, slow), strict=True)
    for mine, other in pairs:
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-14)

"""Best responses and the Nash-gap against enumeration of every deterministic deviation, and on games known by hand."""

from itertools import product

import numpy as np
import pytest

from bn_mappo.tabular.best_response import certify_nash, nash_gains, nash_gap
from bn_mappo.tabular.dags import named_dag, parents
from bn_mappo.tabular.evaluation import evaluate
from bn_mappo.tabular.game import game_from_arrays
from bn_mappo.tabular.policy import normal_logits
from tabular_games import deterministic, random_dag, random_game, slow_start_value

MATCH = game_from_arrays(np.ones((1, 2, 2, 1)), np.eye(2)[None], 0.5, [1.0], name="pay 1 for equal actions")


def best_by_enumeration(game, adjacency, logits, agent, deviation):
    """max over all deterministic replies of V(mu), each evaluated by the slow loop."""
    seen = parents(adjacency, agent) if deviation == "augmented" else ()
    sizes = [count if j in seen else 1 for j, count in enumerate(game.n_actions)]
    sizes[agent] = 1
    free = int(np.prod(sizes)) * game.n_states
    edges = adjacency.copy()
    if deviation == "state_only":
        edges[:, agent] = 0
    best = -np.inf
    for flat in product(range(game.n_actions[agent]), repeat=free):
        choice = np.array(flat).reshape(*sizes, 1, game.n_states)
        reply = deterministic(choice.squeeze(agent), game.n_actions[agent], agent)
        changed = [reply if j == agent else table for j, table in enumerate(logits)]
        best = max(best, slow_start_value(game, edges, changed))
    return best


@pytest.mark.parametrize("deviation", ["augmented", "state_only"])
@pytest.mark.parametrize(
    ("n_actions", "adjacency", "seed"),
    [
        ((2, 2), [[0, 1], [0, 0]], 0),
        ((2, 3), [[0, 0], [1, 0]], 1),  # the second agent is the parent
        ((2, 2, 2), [[0, 1, 1], [0, 0, 1], [0, 0, 0]], 2),
        ((2, 2, 2), [[0, 0, 0], [1, 0, 1], [0, 0, 0]], 3),
    ],
)
def test_gain_is_that_of_enumerating_deviations(n_actions, adjacency, seed, deviation):
    game = random_game(n_actions, 2, seed, gamma=0.7)
    dag = np.array(adjacency)
    logits = normal_logits(game, dag, seeds=[seed])
    gains, bound = nash_gains(game, dag, evaluate(game, logits), deviation)
    assert bound < 1e-9
    now = slow_start_value(game, dag, logits)
    for agent in range(game.n_agents):
        best = best_by_enumeration(game, dag, logits, agent, deviation)
        assert gains[agent, 0] == pytest.approx(best - now, abs=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_gap_is_not_negative_and_the_weaker_one_is_not_larger(seed):
    game = random_game((2, 3, 2), 3, seed)
    dag = random_dag(3, seed)
    evaluation = evaluate(game, normal_logits(game, dag, seeds=range(8)))
    full, bound = nash_gains(game, dag, evaluation)
    weak, _ = nash_gains(game, dag, evaluation, "state_only")
    assert full.min() >= -bound
    assert (weak <= full + 1e-9).all()


def test_weaker_gap_calls_a_policy_nash_that_is_not():
    """Agent 1 sees agent 0's coin and ignores it: with the state alone it cannot do better, with the coin it can."""
    dag = named_dag("line", 2)
    coin = [np.zeros((2, 1, 1, 1)), np.zeros((2, 2, 1, 1))]
    evaluation = evaluate(MATCH, coin)
    assert nash_gap(MATCH, dag, evaluation, "state_only")[0] == pytest.approx(0, abs=1e-9)
    assert nash_gap(MATCH, dag, evaluation)[0] == pytest.approx(0.5 / (1 - 0.5))
    assert not certify_nash(MATCH, dag, coin, tolerance=1e-6).is_nash[0]


def test_certificate_accepts_a_nash_policy_and_names_the_gain_of_another():
    dag = named_dag("line", 2)
    follow = deterministic(np.arange(2).reshape(2, 1, 1), 2, axis=1)  # agent 1 repeats agent 0
    good = certify_nash(MATCH, dag, [np.zeros((2, 1, 1, 1)), follow], tolerance=1e-6)
    assert good.is_nash[0] and good.gap[0] == pytest.approx(0, abs=1e-9)
    oppose = deterministic(1 - np.arange(2).reshape(2, 1, 1), 2, axis=1)
    bad = certify_nash(MATCH, dag, [np.zeros((2, 1, 1, 1)), oppose], tolerance=1e-6)
    assert not bad.is_nash[0]
    np.testing.assert_allclose(bad.gain[:, 0], [0, 2], atol=1e-9)  # only agent 1 can mend it: 1 / (1 - 0.5)

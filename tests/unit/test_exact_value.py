"""The price of anarchy of a network policy, against known policies and against played episodes."""

import numpy as np
import pytest
import torch

from bn_mappo.core.seeding import Generators
from bn_mappo.envs.games.coordination_game import PAPER_GAMMA, optimal_value
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.training.acting import to_step
from bn_mappo.training.exact_value import ExactValue, joint_policy
from helpers import make_config, train_updates

N = 3
SETTINGS = {"env": "coordination_game", "env_args__n_agents": N, "lr": 0.05}


@pytest.fixture(params=["learned", "full", "empty"])
def trained(request):
    config = make_config("bn_mappo", dag__generator=request.param, **SETTINGS)
    setup, *_ = train_updates(config, 10)
    return config, setup, make_vec_env(config, 1, "test")


def act(mac, game, generators, greedy_dag):
    """One sampled joint action in every game."""
    observation, n_games = game.observe(), game.batch_size
    noise = mac.draw_noise(n_games, generators, 0.0)
    noise = {name: torch.zeros_like(x) if greedy_dag and name.startswith("dag") else x for name, x in noise.items()}
    last = torch.zeros(n_games, N, dtype=torch.long)
    step = to_step(observation, last, torch.ones(n_games), torch.device("cpu"))
    return mac.select_actions(step, mac.init_hidden(n_games), noise).actions.numpy()


@pytest.mark.parametrize("n_dags", [0, 64])
def test_the_joint_policy_is_that_of_the_acting_agents(trained, n_dags):
    config, setup, env = trained
    model = env.tabular_model()
    joint = joint_policy(setup.mac, model, Generators(0, torch.device("cpu")), 0.0, n_dags)  # [2, 2, 2, 8]
    np.testing.assert_allclose(joint.sum((0, 1, 2)), 1, atol=1e-5)
    game = make_vec_env(config, 20_000, "test")
    state = 5
    game.bits[:] = [1, 0, 1]
    actions = act(setup.mac, game, Generators(1, torch.device("cpu")), greedy_dag=n_dags == 0)
    counts = np.bincount(actions @ [4, 2, 1], minlength=8) / game.batch_size
    np.testing.assert_allclose(counts, joint[..., state].reshape(-1), atol=0.02)


def test_poa_is_the_discounted_return_of_played_games(trained):
    config, setup, env = trained
    poa = ExactValue(env, setup.mac, seed=0)(0, 0.0)["test_poa"]
    game = make_vec_env(config, 2_000, "test")
    game.reset(3)
    generators, total = Generators(2, torch.device("cpu")), np.zeros(game.batch_size)
    for t in range(120):
        actions = act(setup.mac, game, generators, greedy_dag=True)
        reward, _ = game.advance(actions)
        total += PAPER_GAMMA**t * reward
    error = total.std() / np.sqrt(game.batch_size) + PAPER_GAMMA**120 / (1 - PAPER_GAMMA) * 3
    assert poa * optimal_value(N) == pytest.approx(total.mean(), abs=4 * error)


def test_only_games_with_a_table_and_policies_without_memory_have_a_poa():
    for config in (make_config("mappo", agent="rnn", **SETTINGS), make_config("mappo")):
        mac = train_updates(config, 1)[0].mac
        assert ExactValue(make_vec_env(config, 1, "test"), mac, 0)(0, 0.0) == {}


def test_value_based_policies_are_valued_as_they_are_evaluated():
    """Greedily, whatever they explore: the exact value of the joint action that each state's values prefer."""
    config = make_config("vdn", **{**SETTINGS, "epsilon": 1.0, "batch_size": 2})
    setup, *_ = train_updates(config, 2)
    model = make_vec_env(config, 1, "test").tabular_model()
    joint = joint_policy(setup.mac, model, Generators(0, torch.device("cpu")), 0.0, 0)  # [2, 2, 2, 8]
    assert set(np.unique(joint)) == {0.0, 1.0} and (joint.sum((0, 1, 2)) == 1).all()


def test_random_dags_have_no_mode_to_be_valued():
    config = make_config("ar_mappo", **SETTINGS)
    setup, *_ = train_updates(config, 1)
    assert set(ExactValue(make_vec_env(config, 1, "test"), setup.mac, 0)(0, 0.0)) == {"test_poa_sampled_dag"}

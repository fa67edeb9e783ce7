"""Value-based learning on games whose values are known."""

import numpy as np
import pytest
import torch

from bn_mappo.core.clock import Clock
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.envs.games.coordination_game import all_states, see, tabular_coordination_game
from bn_mappo.training.build import Setup, build, start_collector
from bn_mappo.training.tester import Tester
from helpers import make_config


def train(config) -> tuple[Setup, float]:
    """The networks after training, and the greedy mean return."""
    setup, clock = build(config), Clock(config.t_max)
    rollout = start_collector(config, setup)
    while not clock.is_over:
        setup.learner.train(rollout.collect(clock.fraction), clock.fraction)
        clock.advance(config.batch_size_run * config.segment_length)
    return setup, float(np.mean(Tester(config, setup.mac)(clock, True)["return"]))


def shown(setup: Setup, obs: np.ndarray, state: np.ndarray) -> EpisodeBatch:
    """K states [K, ...], each as a game of one step."""
    n_states, n_agents = obs.shape[:2]
    fields = {
        "obs": torch.from_numpy(obs).unsqueeze(1),
        "state": torch.from_numpy(state).unsqueeze(1),
        "last_actions": torch.full((n_states, 1, n_agents), -1),
        "episode_start": torch.ones(n_states, 1),
        "filled": torch.ones(n_states, 1),
    }
    return EpisodeBatch(fields, setup.mac.init_hidden(n_states))


TWO_STEP = {"env": "two_step", "batch_size_run": 32, "batch_size": 32, "segment_length": 2, "hidden_dim": 32}
TWO_STEP |= {"lr": 0.003, "t_max": 30_000, "target_update_interval": 50, "buffer_size": 500, "gamma": 0.99}


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["mlp", "rnn"])
@pytest.mark.parametrize(("alg", "best"), [("vdn", 7.0), ("qmix", 8.0)])
def test_what_the_two_step_game_tells_apart(alg, best, agent):
    """Rashid et al. 2018, section 5 and table 2: a sum cannot represent the second game, a monotonic network can."""
    setup, greedy = train(make_config(alg, agent=agent, **TWO_STEP))
    assert greedy == best
    state = np.eye(3, dtype=np.float32)
    batch = shown(setup, np.repeat(state[:, None], 2, axis=1), state)
    with torch.no_grad():
        values = setup.mac.values(batch)  # [N, 3, A]
        pairs = torch.cartesian_prod(torch.arange(2), torch.arange(2))
        totals = torch.stack(
            [
                setup.learner.mixer(torch.stack([values[0, :, i], values[1, :, j]], dim=-1), batch["state"][:, 0])
                for i, j in pairs.tolist()
            ]
        ).view(2, 2, 3)
    if alg == "qmix":
        expected = [[[6.93, 6.93], [7.92, 7.92]], [[7, 7], [7, 7]], [[0, 1], [1, 8]]]
        for k, table in enumerate(expected):
            if agent == "mlp" or k == 0:  # a recurrent agent never stands in the other states without a step before
                torch.testing.assert_close(totals[..., k], torch.tensor(table, dtype=torch.float32), atol=0.25, rtol=0)
    elif agent == "mlp":  # the closest sum: rows and columns apart
        torch.testing.assert_close(totals[..., 2], torch.tensor([[-1.5, 2.5], [2.5, 6.5]]), atol=0.5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("alg", "low", "high"), [("vdn", -100, 7), ("dcg", 11, 11), ("casec", 11, 11)])
def test_a_payoff_of_pairs_finds_the_optimum_beside_the_worst_outcomes(alg, low, high):
    """The climbing game: a sum of the agents' values ends beside the optimum of 11, a graph of two agents finds it."""
    settings = {"env": "matrix_game", "batch_size_run": 16, "batch_size": 32, "segment_length": 1, "hidden_dim": 32}
    settings |= {"lr": 0.003, "t_max": 8_000, "buffer_size": 500, "epsilon": 0.5}
    _, greedy = train(make_config(alg, **settings))
    assert low <= greedy <= high


def test_one_agent_alone_learns_the_values_that_value_iteration_gives():
    """The Coordination Game of one agent goes on for ever; episodes are cut off, and bootstrap from where they led."""
    gamma = 0.8
    settings = {"env_args__n_agents": 1, "epsilon": 1.0, "gamma": gamma, "lr": 0.005}
    settings |= {"batch_size_run": 16, "batch_size": 16, "segment_length": 5, "env_args__episode_limit": 5}
    settings |= {"t_max": 12_000, "target_update_interval": 20, "buffer_size": 500, "td_lambda": 0.0}
    setup, _ = train(make_config("iql", "coordination_game", **settings))
    game = tabular_coordination_game(1, gamma)
    best = np.zeros(2)
    for _ in range(500):
        q = game.reward.reshape(-1, 2)[0] + gamma * (game.transition[:, 0] @ best)[:, None]  # [A, S]
        best = q.max(0)
    observation = see(all_states(1))
    with torch.no_grad():
        values = setup.mac.values(shown(setup, observation.obs, observation.state))[0].T.numpy()  # [A, S]
    np.testing.assert_allclose(values, q, atol=0.06 * best.max())


@pytest.mark.slow
@pytest.mark.parametrize("alg", ["vdn", "qmix"])
def test_masks_and_dead_agents(toys, alg):
    """Unavailable actions are never played (the game raises), and the best return is reached."""
    settings = {"env": "masked_game", "batch_size_run": 16, "batch_size": 32, "segment_length": 6, "hidden_dim": 32}
    settings |= {"lr": 0.005, "t_max": 20_000, "test_nepisode": 100, "epsilon": "{start: 1.0, end: 0.05, until: 0.3}"}
    _, greedy = train(make_config(alg, **settings, samples_per_insert=4, gamma=0.5, buffer_size=500))
    assert greedy > 0.93 * (2 * 3 + 4 * 2)  # two steps of three agents, then two alive

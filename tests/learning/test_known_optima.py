"""Games whose best returns are known: what product policies cannot reach, a DAG must."""

import numpy as np
import pytest
import torch

from bn_mappo.config.loading import load_layers, overlay
from bn_mappo.config.schema import validate
from bn_mappo.core.clock import Clock
from bn_mappo.envs.registry import env_layer
from bn_mappo.training.build import build, start_collector
from bn_mappo.training.tester import Tester
from helpers import make_config
from toy_envs import StayGame

SETTINGS = {
    "env": "bit_game",
    "batch_size_run": 32,
    "batch_size": 32,
    "segment_length": 8,
    "hidden_dim": 32,
    "lr": 0.01,
    "t_max": 15_000,
    "test_nepisode": 400,
    "share_heads": False,
}
MAT = {"lr": 0.003, "epochs": 5, "eps_clip": 0.2}


def train(config) -> tuple[float, float]:
    """Greedy and sampled mean return after training."""
    setup, clock = build(config), Clock(config.t_max)
    rollout = start_collector(config, setup)
    while not clock.is_over:
        setup.learner.train(rollout.collect(clock.fraction), clock.fraction)
        clock.advance(config.batch_size_run * config.segment_length)
    tester = Tester(config, setup.mac)
    return tuple(float(np.mean(tester(clock, greedy)["return"])) for greedy in (True, False))


@pytest.mark.parametrize(
    ("alg", "settings", "low", "high"),
    [
        ("mappo", {}, 0.4, 0.6),
        ("ippo", {}, 0.4, 0.6),
        pytest.param("mat", MAT, 0.98, 1.0, marks=pytest.mark.slow),
        pytest.param("mat", {**MAT, "order": "random"}, 0.98, 1.0, marks=pytest.mark.slow),
        pytest.param("mat_dec", MAT, 0.4, 0.6, marks=pytest.mark.slow),
        pytest.param("bn_mappo", {"dag__generator": "empty"}, 0.4, 0.6, marks=pytest.mark.slow),
        ("bn_mappo", {"dag__generator": "full"}, 0.98, 1.0),
        pytest.param("bn_mappo", {"dag__permutation": "identity"}, 0.98, 1.0, marks=pytest.mark.slow),
        ("bn_mappo", {"dag__permutation": "gumbel_sinkhorn"}, 0.98, 1.0),
        pytest.param("bn_mappo", {"dag__permutation": "plackett_luce"}, 0.98, 1.0, marks=pytest.mark.slow),
        pytest.param(
            "bn_mappo", {"dag__permutation": "identity", "dag__edges": "bernoulli"}, 0.98, 1.0, marks=pytest.mark.slow
        ),
        pytest.param("gcs", {}, 0.98, 1.0, marks=pytest.mark.slow),
        pytest.param(  # from almost no edges: each that helps has to be found and kept
            "bn_mappo",
            {"dag__permutation": "identity", "dag__edges": "bernoulli", "dag__edge_bias": -3.0},
            0.98,
            1.0,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_agent_1_needs_an_edge_to_know_the_bit(toys, alg, settings, low, high):
    greedy, sampled = train(make_config(alg, **{**SETTINGS, **settings}))
    assert low <= greedy <= high
    assert low - 0.1 <= sampled <= high


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        pytest.param({"dag__generator": "empty"}, 0.4, 0.6, marks=pytest.mark.slow),
        pytest.param({"dag__generator": "full"}, 0.7, 0.8, marks=pytest.mark.slow),
        pytest.param({"dag__generator": "learned", "dag__permutation": "identity"}, 0.7, 0.8, marks=pytest.mark.slow),
        ({"dag__generator": "learned", "dag__permutation": "plackett_luce"}, 0.98, 1.0),
    ],
)
def test_an_order_that_depends_on_the_context_beats_every_fixed_one(toys, settings, low, high):
    greedy, _ = train(make_config("bn_mappo", **{**SETTINGS, "env": "either_sees_game", "t_max": 25_000}, **settings))
    assert low <= greedy <= high


@pytest.mark.slow
def test_a_fixed_order_is_enough_where_all_observations_are_encoded_together(toys):
    """MAT's second agent tells the first one, through the encoder, what it sees."""
    config = make_config("mat", **{**SETTINGS, **MAT, "env": "either_sees_game", "t_max": 50_000, "entropy_coef": 0.05})
    greedy, _ = train(config)
    assert greedy >= 0.98


@pytest.mark.slow
def test_learned_dag_finds_the_edge_from_the_one_who_sees(toys):
    config = make_config("bn_mappo", **SETTINGS, dag__permutation="gumbel_sinkhorn")
    setup = build(config)
    rollout = start_collector(config, setup)
    for t_env in range(0, config.t_max, 256):
        setup.learner.train(rollout.collect(0.0), t_env / config.t_max)
    dag = setup.mac.generate(torch.from_numpy(rollout.games.observation.obs), None, None, 1.0)
    assert dag.adjacency[:, 0, 1].mean() == 1.0
    assert dag.adjacency[:, 1, 0].mean() == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["empty", "learned"])
def test_masks_and_dead_agents(toys, generator):
    """Unavailable actions are never played (the game raises), and the best return is reached."""
    settings = {**SETTINGS, "env": "masked_game", "t_max": 20_000, "dag__generator": generator, "test_nepisode": 100}
    greedy, _ = train(make_config("bn_mappo", **settings))
    assert greedy > 0.93 * (2 * 3 + 4 * 2)  # two steps of three agents, then two alive


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_agents_stay_where_leaving_earns_less(toys, seed):
    """A value of what comes after leaving, which is nothing, would make them leave."""
    layers = load_layers("ippo", "stay_game", env_layer("stay_game"))
    own = {"seed": seed, "t_max": 40_000, "batch_size_run": 16, "segment_length": 20, "common_reward": False}
    greedy, _ = train(validate(overlay(layers, {**own, "test_nepisode": 32})))
    assert greedy == 2 * StayGame.N_STEPS

"""bn_mappo with no edges is MAPPO, bit for bit."""

import pytest
import torch

from helpers import make_config, train_updates

SETTINGS = {"lr": 0.01, "env_args__episode_limit": 4, "segment_length": 10}


def weights_of(alg: str, n_updates: int = 5, **settings) -> dict[str, torch.Tensor]:
    setup, _, _, batch = train_updates(make_config(alg, **{**SETTINGS, **settings}), n_updates)
    named = {f"actor.{k}": v for k, v in setup.mac.state_dict().items() if not k.startswith("dag.")}
    named |= {f"critic.{k}": v for k, v in setup.learner.critic.state_dict().items()}
    return {**named, "last_actions": batch["actions"]}


@pytest.mark.parametrize("env", ["aloha", "coordination_game"])
@pytest.mark.parametrize("agent", ["mlp", "rnn"])
@pytest.mark.parametrize("fusion", ["input", "hidden", "encoded"])
def test_empty_dag_equals_mappo_bit_for_bit(env, agent, fusion):
    mappo = weights_of("mappo", env=env, agent=agent, fusion=fusion)
    empty = weights_of("bn_mappo", env=env, agent=agent, fusion=fusion, dag__generator="empty")
    assert set(mappo) == set(empty), "no parents, no parents' branch"
    for name, value in mappo.items():
        assert torch.equal(value, empty[name]), name


@pytest.mark.parametrize("fusion", ["input", "hidden", "encoded"])
def test_a_dag_that_never_has_an_edge_equals_mappo_to_rounding(fusion):
    """Through the whole BN path: levels, messages, and a branch that adds nothing."""
    mappo = weights_of("mappo", n_updates=2, fusion=fusion)
    zeros = [[0] * 10 for _ in range(10)]
    for settings in (
        {"dag__generator": "fixed", "dag__adjacency": zeros},
        {"dag__generator": "random", "dag__probability": 0.0},
    ):
        never = weights_of("bn_mappo", n_updates=2, fusion=fusion, **settings)
        for name, value in mappo.items():
            torch.testing.assert_close(value, never[name], atol=1e-4, rtol=1e-3)


def test_a_full_dag_differs():
    mappo, full = weights_of("mappo"), weights_of("bn_mappo", dag__generator="full")
    assert any(not torch.equal(value, full[name]) for name, value in mappo.items())


def test_same_seed_same_bits_and_another_seed_others():
    first, again, other = (weights_of("bn_mappo", seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())

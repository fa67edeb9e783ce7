"""The released code's defects, brought back by their settings: each does what it is said to do, and nothing else."""

import pytest
import torch

from helpers import make_config, make_rollout, train_updates

LEARNED = {"env_args__rows": 2, "env_args__columns": 2, "lr": 0.02, "dag__generator": "learned"}


def test_resampled_parent_actions_break_the_ratio_only_where_there_are_parents():
    for generator, is_broken in (("full", True), ("line", True), ("learned", True), ("empty", False)):
        config = make_config(**{**LEARNED, "dag__generator": generator, "dag__parent_actions": "resampled"})
        _, _, statistics, _ = train_updates(config, 6)
        assert (max(row["first_ratio_error"] for row in statistics) > 1e-3) == is_broken, generator


def test_resampled_parent_actions_are_those_of_the_policy():
    """Their frequencies are those of acting: each agent's marginal, over many draws of one recorded segment."""
    config = make_config(**{**LEARNED, "dag__generator": "full", "dag__parent_actions": "resampled"})
    setup, rollout, _, _ = train_updates(config, 8)
    batch = rollout.collect(0.0)
    mac, obs = setup.mac, batch["obs"].flatten(0, 1)
    dag, own = mac.rebuild(batch, 0.0, setup.generators), mac.encode_batch(batch).detach()
    draws = torch.stack([mac.parent_actions(dag, own, batch, setup.generators) for _ in range(400)]).float()
    acted = torch.stack(
        [
            mac.act_along(dag.adjacency, own, obs, None, noise)[0]
            for noise in (mac.draw_noise(len(obs), setup.generators, 0.0)["action_noise"] for _ in range(400))
        ]
    ).float()
    torch.testing.assert_close(draws.mean(0), acted.mean(0), atol=0.15, rtol=0)
    assert 0.05 < draws.mean() < 0.95, "a policy that never varies would show nothing"


@pytest.mark.parametrize("layer_norm", [True, False])
def test_layer_norm_blinds_agents_that_see_one_number(layer_norm):
    config = make_config("mappo", env_args__obs_coding="scalar", obs_layer_norm=layer_norm)
    setup, rollout = make_rollout(config)
    batch = rollout.collect(0.0)
    assert batch["obs"].unique().numel() > 1
    own = setup.mac.encode_batch(batch)  # [N, M, A]
    assert torch.equal(own, own[:, :1].expand_as(own)) == layer_norm


@pytest.mark.parametrize("clips", [True, False])
def test_the_dag_networks_take_part_in_the_clipping_unless_told_otherwise(clips):
    config = make_config(**LEARNED, grad_norm_clip=1e-4, dag__clip_gradients=clips)
    setup, rollout = make_rollout(config)
    setup.learner.train(rollout.collect(0.0), 0)
    norms = {
        part: torch.stack([p.grad.norm() for name, p in setup.mac.named_parameters() if name.startswith(part)]).norm()
        for part in ("dag.", "actor.")
    }
    assert norms["actor."] <= 1.01e-4
    assert (norms["dag."] <= 1.01e-4) == clips

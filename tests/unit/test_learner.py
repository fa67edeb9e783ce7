"""What one gradient step takes into account: mini-batches, masks, clipping, and where the value starts from."""

import pytest
import torch

from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.learners.losses import clipped_value_loss
from bn_mappo.learners.ppo_learner import Targets, team_advantage
from helpers import make_config, make_rollout, train_updates


def test_mini_batches_are_a_partition_with_their_own_targets_and_weights_that_sum_to_one():
    setup, rollout = make_rollout(make_config("mappo", batch_size_run=6, batch_size=2))
    batch = rollout.collect(0.0)
    number = torch.arange(6.0).view(6, 1, 1).expand(6, 6, 1)
    batch = batch.with_fields(reward=number[..., 0].clone())
    targets = Targets(*(number for _ in Targets._fields))._replace(step_weight=number[..., 0])
    seen = []
    for part, part_targets in setup.learner.mini_batches(batch, targets):
        assert part.batch_size == 2
        for target in (part_targets.advantage, part_targets.target, part_targets.old_value):
            assert torch.equal(target[..., 0], part["reward"])
        expected = part["reward"] / part["reward"].sum()
        torch.testing.assert_close(part_targets.weight[..., 0], expected)
        torch.testing.assert_close(part_targets.value_weight[..., 0], expected)
        torch.testing.assert_close(part_targets.step_weight, expected)
        seen += part["reward"][:, 0].tolist()
    assert sorted(seen) == [0, 1, 2, 3, 4, 5] and seen != sorted(seen)


def test_a_mini_batch_in_which_nothing_counts_has_no_weight():
    setup, rollout = make_rollout(make_config("mappo", batch_size_run=4))
    batch = rollout.collect(0.0)
    targets = setup.learner.compute_targets(batch)
    nothing = targets._replace(weight=targets.weight * 0)
    ((_, part),) = setup.learner.mini_batches(batch, nothing)
    assert (part.weight == 0).all() and part.step_weight.sum() == pytest.approx(1)


def test_agents_without_a_choice_have_no_weight(toys):
    setup, rollout = make_rollout(make_config("mappo", "masked_game"))
    batch = rollout.collect(0.0)
    weight = setup.learner.weight(batch)
    assert torch.equal(weight == 1, batch["avail_actions"].sum(-1) > 1)
    assert (weight[..., 2] == 0).any(), "agent 2 dies"


@pytest.mark.parametrize("generator", ["empty", "full", "random", "learned"])
@pytest.mark.parametrize("fusion", ["input", "hidden", "encoded"])
def test_masked_actions_are_masked_alike_in_acting_and_learning(toys, generator, fusion):
    config = make_config("bn_mappo", "masked_game", dag__generator=generator, fusion=fusion, lr=0.01)
    setup, rollout, statistics, _ = train_updates(config, 4)
    assert max(row["first_ratio_error"] for row in statistics) < 1e-5
    batch = rollout.collect(0.0)
    evaluation = setup.mac.evaluate(batch, 0.0, setup.generators)
    torch.testing.assert_close(evaluation.log_prob.detach(), batch["log_prob"], atol=1e-5, rtol=0)
    one_choice = batch["avail_actions"].sum(-1) == 1
    assert (evaluation.log_prob[one_choice].abs() < 1e-6).all()
    assert (evaluation.entropy <= batch["avail_actions"].sum(-1).log() + 1e-5).all()


def test_the_value_clip_starts_from_the_critics_own_output():
    """Before a gradient step nothing is clipped, also where the moments of the returns have just moved."""
    setup, rollout, _, _ = train_updates(make_config("mappo"), 3)
    learner = setup.learner
    batch = rollout.collect(0.0)
    targets = learner.compute_targets(batch)
    gradients = []
    for value_clip in (0.2, 0.0):
        value = learner.critic(batch.fields).detach().requires_grad_()
        weight = targets.value_weight
        clipped_value_loss(value, targets.old_value, targets.target, weight, value_clip, 10.0).backward()
        gradients.append(value.grad)
    torch.testing.assert_close(*gradients)


def test_a_terminated_game_is_worth_nothing_afterwards(toys):
    """Bit games last one step: the return is the reward, whatever the critic says of the next game."""
    config = make_config("mappo", "bit_game", standardise_returns=False)
    setup, rollout = make_rollout(config)
    batch = rollout.collect(0.0)
    assert batch["terminated"].all()
    with torch.no_grad():
        setup.learner.critic.head.bias.fill_(100.0)
    targets = setup.learner.compute_targets(batch)
    torch.testing.assert_close(targets.target[..., 0], batch["reward"], atol=1e-4, rtol=0)


def test_dag_networks_are_inside_the_gradient_clipping():
    config = make_config(grad_norm_clip=1e-3)
    setup, rollout = make_rollout(config)
    setup.learner.train(rollout.collect(0.0), 0)
    grads = {name: p.grad for name, p in setup.mac.named_parameters() if p.grad is not None}
    assert any(name.startswith("dag.") and grad.abs().sum() > 0 for name, grad in grads.items())
    total = torch.stack([grad.square().sum() for grad in grads.values()]).sum().sqrt()
    assert total.item() == pytest.approx(1e-3, rel=1e-3)


def test_the_entropy_bonus_raises_the_entropy():
    entropies = []
    for coefficient in (0.0, 10.0):
        config = make_config("mappo", entropy_coef=coefficient, lr=0.01, env_args__episode_limit=4)
        entropies.append(train_updates(config, 20)[2][-1]["entropy"])
    assert entropies[1] > entropies[0] + 0.05


@pytest.mark.parametrize("n_before", [0, 3])
def test_restore_undoes_an_update(n_before):
    """The same segment, learned from again after a restore, gives the same weights."""
    setup, rollout, _, _ = train_updates(make_config("bn_mappo"), max(n_before, 1))
    if n_before == 0:
        setup, rollout = make_rollout(make_config("bn_mappo"))
    batch, results = rollout.collect(0.0), []
    snapshot = setup.learner.snapshot()
    for _ in range(2):
        setup.learner.train(batch, 0)
        results.append([tensor.clone() for tensor in setup.learner.snapshot()])
        setup.learner.restore(snapshot)
    assert all(torch.equal(left, right) for left, right in zip(*results, strict=True))
    assert not torch.equal(results[0][0], snapshot[0])


def test_agents_with_rewards_of_their_own_learn_from_them_and_those_that_have_left_do_not(toys):
    """Advantages against a slow loop; an agent that is gone has no weight, in policy and value alike."""
    settings = {"common_reward": False, "critic_type": "ac_critic", "segment_length": 12}
    config = make_config("mappo", "leaving_game", standardise_advantages=False, standardise_returns=False, **settings)
    setup, rollout = make_rollout(config)
    learner, options = setup.learner, setup.learner.options
    batch = rollout.collect(0.0)
    assert batch["reward"].shape == batch["log_prob"].shape
    active = batch["active"].bool()
    assert not active.all() and active.any()
    targets = learner.compute_targets(batch)
    assert torch.equal(targets.value_weight.bool(), active)
    assert (targets.weight[~active] == 0).all() and (targets.weight[active] == 1).any()
    with torch.no_grad():
        value, following = learner.critic(batch.fields), learner.critic({"obs": batch.next("obs")})  # [B, T, N] each
    is_there = batch.next("active").bool()
    for game in range(batch.batch_size):
        for agent in range(setup.info.n_agents):
            advantage = 0.0
            for t in reversed(range(batch.n_steps)):
                goes_on = is_there[game, t, agent] and not batch["terminated"][game, t]
                delta = batch["reward"][game, t, agent] - value[game, t, agent]
                if goes_on:  # nothing follows for an agent that has left
                    delta += options.gamma * following[game, t, agent]
                if goes_on and not batch["truncated"][game, t]:
                    delta += options.gamma * options.gae_lambda * advantage
                advantage = float(delta)
                assert targets.advantage[game, t, agent].item() == pytest.approx(advantage, rel=1e-4, abs=1e-4)
    assert all(value.isfinite() for value in learner.train(batch, 0.0).values())


def test_where_the_team_is_paid_agents_that_have_left_learn_what_that_is_worth(toys):
    setup, rollout = make_rollout(make_config("ippo", "leaving_game", segment_length=12))
    batch = rollout.collect(0.0)
    assert not batch["active"].bool().all()
    assert setup.learner.value_weight(batch).bool().all()


def test_the_advantage_of_the_team_is_that_of_the_agents_that_are_there():
    advantage = torch.tensor([[[1.0, 2.0, 900.0], [5.0, 7.0, 9.0], [900.0, 900.0, 900.0]]])
    weight = torch.tensor([[[0.1, 0.1, 0.0], [0.1, 0.1, 0.1], [0.0, 0.0, 0.0]]])
    targets = Targets(advantage, advantage, advantage, weight, weight, weight[..., 0])
    assert team_advantage(targets).flatten().tolist() == [1.5, 7.0, 0.0]


def test_one_value_for_all_cannot_learn_rewards_by_agent(toys):
    with pytest.raises(ConfigError, match="critic_type=ac_critic"):
        make_rollout(make_config("mappo", "leaving_game", common_reward=False))


@pytest.mark.parametrize("at_once", [True, False])
def test_the_first_loss_that_is_not_finite_is_named_at_once_or_at_the_end_of_the_update(at_once):
    setup, rollout = make_rollout(make_config("mappo", standardise_returns=False, standardise_advantages=False))
    batch = rollout.collect(0.0)
    batch = batch.with_fields(reward=torch.full_like(batch["reward"], torch.inf))
    setup.learner.checks_at_once = at_once
    with pytest.raises(RunError, match=r"not finite: .*critic_loss"):
        setup.learner.train(batch, 0.0)
    was_stepped = len(setup.learner.optimiser.state) > 0
    assert was_stepped != at_once
    setup.learner.refuse_steps()  # what was told is not told again

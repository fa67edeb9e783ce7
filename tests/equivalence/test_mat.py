"""MAT's policy pi(a|o) = prod_k pi(a^{i_k} | o, a^{i_1}, ...) against enumeration, sampling and what is known of it."""

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare

from bn_mappo.controllers.basic_controller import Step
from bn_mappo.core.errors import ConfigError
from bn_mappo.data.batch import BatchRecorder, EpisodeBatch
from helpers import make_config, make_rollout, train_updates

POLICIES = [("mat", "fixed"), ("mat", "random"), ("mat_dec", None)]
JOINT = torch.tensor(list(itertools.product(range(2), repeat=4)))  # [16, 4]
PLACES = torch.tensor([8, 4, 2, 1])


def settings(order: str | None) -> dict:
    own = {} if order is None else {"order": order}
    return {"env_args__rows": 2, "env_args__columns": 2, "lr": 0.01, "n_blocks": 2, "n_heads": 2, "epochs": 5, **own}


def trained(alg: str, order: str | None, n_updates: int = 1, **updates):
    """A policy of 4 agents after some updates; its setup, games and statistics."""
    setup, rollout, statistics, _ = train_updates(make_config(alg, **{**settings(order), **updates}), n_updates)
    return setup, rollout, statistics


def far_from_uniform(mac, generator_seed: int = 7) -> None:
    """Move all weights, so that every agent's choice depends strongly on those of the earlier ones."""
    generator = torch.Generator().manual_seed(generator_seed)
    with torch.no_grad():
        for parameter in mac.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)


def one_state(rollout, n_copies: int) -> Step:
    """The present state of the first game, n_copies times."""
    now = rollout.games.observation
    obs, state = (torch.from_numpy(values[:1]) for values in (now.obs, now.state))
    n_agents = obs.shape[1]
    starts, last = torch.ones(n_copies), torch.full((n_copies, n_agents), -1)
    return Step(obs.expand(n_copies, -1, -1), state.expand(n_copies, -1), None, last, starts)


def as_batch(mac, step: Step, actions: torch.Tensor, noise: dict) -> EpisodeBatch:
    """Recorded steps: one of each game."""
    recorder = BatchRecorder(mac.scheme(), len(actions), actions.device)
    recorder.add({**step._asdict(), "actions": actions, "log_prob": torch.zeros(actions.shape), **noise})
    return recorder.batch(torch.ones(len(actions), 1), mac.init_hidden(len(actions)))


def order_noise(mac, generators, n_copies: int) -> dict:
    """The order of one draw, n_copies times; nothing where the order is not drawn."""
    drawn = mac.draw_noise(1, generators, 0.0)
    return {name: value.expand(n_copies, -1) for name, value in drawn.items() if name == "order_noise"}


@pytest.mark.parametrize(("alg", "order"), POLICIES)
def test_joint_probabilities_sum_to_one_and_are_the_frequencies_of_sampled_actions(alg, order):
    setup, rollout, _ = trained(alg, order)
    mac, n_samples = setup.mac, 20_000
    far_from_uniform(mac)
    noise = order_noise(mac, setup.generators, 16)
    assert bool(noise) == (order == "random")
    with torch.no_grad():
        log_prob = mac.evaluate(as_batch(mac, one_state(rollout, 16), JOINT, noise), 0.0, setup.generators).log_prob
    probability = log_prob.double().sum((-2, -1)).exp()  # [16]
    assert probability.sum().item() == pytest.approx(1.0, abs=1e-5)
    drawn = mac.draw_noise(n_samples, setup.generators, 0.0)
    drawn |= {name: value[:1].expand(n_samples, -1) for name, value in noise.items()}
    actions = mac.select_actions(one_state(rollout, n_samples), mac.init_hidden(n_samples), drawn).actions
    counts = torch.bincount((actions * PLACES).sum(-1), minlength=16).double()
    likely = probability * n_samples >= 5  # the chi-square approximation needs a few expected counts
    expected = torch.cat([probability[likely], probability[~likely].sum()[None]])
    observed = torch.cat([counts[likely], counts[~likely].sum()[None]])
    keep = expected > 1e-12
    assert keep.sum() > 3 and observed[~keep].sum() == 0
    share = expected[keep] / expected[keep].sum()
    assert chisquare(observed[keep].numpy(), (share * n_samples).numpy()).pvalue > 1e-4


@pytest.mark.parametrize(("alg", "order"), POLICIES)
def test_exactly_the_agents_before_it_change_what_an_agent_does(alg, order):
    """By changing one action at a time, in a fixed and in a drawn order; nobody's in MAT-Dec."""
    setup, rollout, _ = trained(alg, order)
    mac = setup.mac
    far_from_uniform(mac)
    noise = order_noise(mac, setup.generators, 16)
    with torch.no_grad():
        batch = as_batch(mac, one_state(rollout, 16), JOINT, noise)
        log_prob = mac.evaluate(batch, 0.0, setup.generators).log_prob[:, 0]  # [16, 4]
    rank = mac.order(noise.get("order_noise"), 16)[0].argsort(-1) if alg == "mat" else torch.zeros(4)
    for j, i in itertools.permutations(range(4), 2):
        twin = ((JOINT + torch.eye(4, dtype=torch.long)[j]) % 2 * PLACES).sum(-1)  # [16], agent j's action changed
        change = (log_prob[:, i] - log_prob[twin, i]).abs().max()
        assert (change > 1e-4) if rank[j] < rank[i] else (change < 1e-6), (j, i)
    if order == "random":
        assert rank.tolist() != [0, 1, 2, 3], "the order that was drawn is the fixed one, so the test shows nothing"


@pytest.mark.parametrize(("alg", "order"), POLICIES)
def test_acting_and_evaluating_agree_and_the_ratio_is_one_before_every_first_step(alg, order):
    """Keys and values of earlier agents are kept in acting, and all agents are scored at once in learning."""
    setup, rollout, statistics = trained(alg, order, 4, env_args__episode_limit=4)
    assert max(row["first_ratio_error"] for row in statistics) < 1e-5
    assert statistics[-1]["ratio_error"] > 1e-3, "the policy did not move, so the test would not see a difference"
    far_from_uniform(setup.mac)
    batch = rollout.collect(0.5)
    with torch.no_grad():
        evaluation = setup.mac.evaluate(batch, 0.5, setup.generators)
    torch.testing.assert_close(evaluation.log_prob, batch["log_prob"], atol=1e-5, rtol=1e-5)
    if order == "random":  # scored in another order than the one that acted, they do not agree
        other = batch.with_fields(order_noise=1 - batch["order_noise"])
        with torch.no_grad():
            wrong = setup.mac.evaluate(other, 0.5, setup.generators).log_prob
        assert (wrong - batch["log_prob"]).abs().max() > 0.1


def test_acting_on_kept_keys_and_values_is_acting_on_a_new_forward_pass_for_each_agent():
    setup, rollout, _ = trained("mat", "random")
    mac, n_games = setup.mac, 300
    far_from_uniform(mac)
    step, noise = one_state(rollout, n_games), mac.draw_noise(n_games, setup.generators, 0.0)
    chosen = mac.select_actions(step, mac.init_hidden(n_games), noise)
    actions = torch.zeros(n_games, 4, dtype=torch.long)
    with torch.no_grad():
        obs = mac.shown(step.obs)
        for agents in mac.order(noise["order_noise"], n_games).T:
            batch = as_batch(mac, step, actions, {"order_noise": noise["order_noise"]})
            logits = mac.recorded_logits(obs, mac.encoder(obs), batch)  # [B, 4, 2]
            best = (logits + noise["action_noise"]).argmax(-1)
            actions = actions.scatter(1, agents[:, None], best.gather(1, agents[:, None]))
    assert torch.equal(chosen.actions, actions)


def test_values_are_those_of_the_encoder_and_do_not_depend_on_actions_or_order():
    setup, rollout, _ = trained("mat", "random")
    batch, learner = rollout.collect(0.0), setup.learner
    changed = batch.with_fields(actions=1 - batch["actions"], order_noise=1 - batch["order_noise"])
    with torch.no_grad():
        values, again = (setup.mac.evaluate(each, 0.0, setup.generators).values for each in (batch, changed))
        torch.testing.assert_close(learner.critic(batch.fields), values)
    assert torch.equal(values, again) and values.shape == batch["actions"].shape


@pytest.mark.parametrize("alg", ["mat", "mat_dec"])
def test_one_optimiser_trains_all_weights_once_and_values_and_policy_share_the_encoder(alg):
    setup, rollout, _ = trained(alg, None)
    learner, batch = setup.learner, rollout.collect(0.0)
    assert not list(learner.critic.parameters()) and not learner.critic_groups
    assert [group["params"][0].numel() for group in learner.optimiser.param_groups] == [
        sum(parameter.numel() for parameter in setup.mac.parameters())
    ]
    evaluation = setup.mac.evaluate(batch, 0.0, setup.generators)
    for quantity, reaches in ((evaluation.values, True), (evaluation.log_prob, alg == "mat")):
        grads = torch.autograd.grad(
            quantity.square().sum(), list(setup.mac.encoder.blocks.parameters()), retain_graph=True, allow_unused=True
        )
        assert any(grad is not None and (grad != 0).any() for grad in grads) == reaches


@pytest.mark.parametrize(("alg", "order"), POLICIES)
def test_masked_actions_are_masked_alike_in_acting_and_learning(toys, alg, order):
    """The game raises where an unavailable action is played; agent 2 dies, and then has one choice."""
    own = {} if order is None else {"order": order}
    config = make_config(alg, "masked_game", lr=0.01, epochs=5, **own)
    setup, rollout, statistics, _ = train_updates(config, 4)
    assert max(row["first_ratio_error"] for row in statistics) < 1e-5
    batch = rollout.collect(0.0)
    with torch.no_grad():
        evaluation = setup.mac.evaluate(batch, 0.0, setup.generators)
    torch.testing.assert_close(evaluation.log_prob, batch["log_prob"], atol=1e-5, rtol=0)
    one_choice = batch["avail_actions"].sum(-1) == 1
    assert one_choice.any() and (evaluation.log_prob[one_choice].abs() < 1e-6).all()
    assert (evaluation.entropy <= batch["avail_actions"].sum(-1).log() + 1e-5).all()


@pytest.mark.parametrize("common_reward", [True, False])
@pytest.mark.parametrize(("alg", "order"), POLICIES[1:])
def test_agents_that_leave_have_no_weight_and_may_have_rewards_of_their_own(toys, alg, order, common_reward):
    own = {} if order is None else {"order": order}
    setup, _, statistics, batch = train_updates(
        make_config(alg, "leaving_game", common_reward=common_reward, segment_length=12, **own), 3
    )
    active = batch["active"].bool()
    assert active.any() and not active.all()
    targets = setup.learner.compute_targets(batch)
    assert (targets.weight[~active] == 0).all()
    has_value = torch.ones_like(active) if common_reward else active  # the team's rewards go on
    assert torch.equal(targets.value_weight.bool(), has_value)
    assert all(math.isfinite(value) for row in statistics for value in row.values())
    assert max(row["first_ratio_error"] for row in statistics) < 1e-5


@pytest.mark.parametrize(("alg", "best"), [("mat", math.log(2)), ("mat_dec", 2 * math.log(2))])
def test_a_joint_policy_can_correlate_actions_that_no_observation_tells(toys, alg, best):
    """Fitted to a fair coin that both agents show: the entropy of the coin for MAT, of two coins for a product."""
    setup, rollout = make_rollout(make_config(alg, "bit_game", segment_length=16))
    batch = rollout.collect(0.0)
    coin = torch.arange(64).view(4, 16, 1) % 2
    batch = batch.with_fields(actions=coin.expand(-1, -1, 2), obs=torch.zeros_like(batch["obs"]))
    optimiser = torch.optim.Adam(setup.mac.parameters(), lr=0.01)
    for _ in range(80):
        loss = -setup.mac.evaluate(batch, 0.0, setup.generators).log_prob.sum(-1).mean()
        setup.mac.zero_grad(set_to_none=False)
        loss.backward()
        optimiser.step()
    assert loss.item() == pytest.approx(best, abs=0.02)


def test_greedy_agents_act_in_the_fixed_order_and_take_the_likeliest_actions():
    setup, rollout, _ = trained("mat", "random")
    mac = setup.mac
    far_from_uniform(mac)
    assert mac.draw_noise(2, setup.generators, 0.0, greedy=True) == {}
    chosen = mac.select_actions(one_state(rollout, 2), mac.init_hidden(2), {})
    assert torch.equal(chosen.actions[0], chosen.actions[1])
    batch = as_batch(mac, one_state(rollout, 2), chosen.actions, {"order_noise": torch.zeros(2, 4)})
    with torch.no_grad():
        obs = mac.shown(batch["obs"])
        logits = mac.recorded_logits(obs, mac.encoder(obs), batch)
    assert torch.equal(logits.argmax(-1), chosen.actions)


@pytest.mark.parametrize("alg", ["mat", "mat_dec"])
@pytest.mark.parametrize("n_agents", [1, 3])
def test_any_number_of_agents_trains(alg, n_agents):
    _, _, statistics, _ = train_updates(make_config(alg, "coordination_game", env_args__n_agents=n_agents), 2)
    assert all(math.isfinite(value) for row in statistics for value in row.values())


@pytest.mark.parametrize(
    ("alg", "updates", "words"),
    [
        ("mat", {"critic_type": "cv_critic"}, "critic_type=mac_critic"),
        ("mappo", {"critic_type": "mac_critic"}, "mac=mat_controller"),
        ("mat", {"hidden_dim": 16, "n_heads": 3}, "n_heads=3 must divide hidden_dim=16"),
    ],
)
def test_what_does_not_go_together_is_refused(alg, updates, words):
    with pytest.raises(ConfigError, match=words):
        make_rollout(make_config(alg, **updates))

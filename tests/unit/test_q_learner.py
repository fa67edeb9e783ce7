"""Value-based learning: who acts how, what the targets are, and what mixers promise."""

import itertools

import pytest
import torch

from bn_mappo.controllers.basic_controller import Step
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.data.replay import packed
from bn_mappo.modules.mixers.mixers import MonotonicMixer, MonotonicOptions, NoMixer, SumMixer
from helpers import make_config, make_rollout

INFO = EnvInfo(n_agents=3, n_actions=4, obs_dim=2, state_dim=5, episode_limit=9)
MIXING = MonotonicOptions(mixing_dim=8, hypernet_dim=16, hypernet_gain=1.0, state_layer_norm=True)


def filled_learner(config, n_segments: int = 30):
    """Networks of a configuration and a replay that is not learned from yet, with weights that tell agents apart."""
    setup, rollout = make_rollout(config)
    learner = setup.learner
    learner.replay = learner.make_replay(config.batch_size_run)
    for _ in range(n_segments):
        learner.replay.add(rollout.collect(0.0))
    with torch.no_grad():
        for vector in (learner.trained.vector, learner.target.vector):
            vector.add_(torch.randn(vector.shape, generator=torch.Generator().manual_seed(len(vector))) * 0.3)
        learner.target.vector.mul_(0.9)
    return setup, learner


# --- acting ---


def test_agents_explore_with_probability_epsilon_and_only_what_is_available():
    setup, _ = make_rollout(make_config("iql", "aloha", epsilon=0.3))
    info = EnvInfo(n_agents=2, n_actions=5, obs_dim=3, state_dim=1, episode_limit=1, masks_actions=True)
    mac = type(setup.mac)(setup.mac.options, info, Generators(0))
    n_games, avail = 40_000, torch.tensor([[True, False, True, True, False], [False, True, False, False, False]])
    obs = torch.ones(n_games, 2, 3)
    step = Step(obs, obs[:, 0], avail.expand(n_games, 2, 5), torch.zeros(n_games, 2), torch.ones(n_games))
    hidden = mac.init_hidden(n_games)
    best = mac.select_actions(step, hidden, mac.draw_noise(n_games, Generators(1), 0.5, greedy=True)).actions
    values = mac.actor.logits(mac.encode_step(step, hidden)[0])[:, 0].detach()  # [N, A]
    expected_best = torch.where(avail, values, -torch.inf).argmax(-1)
    assert (best == expected_best).all()
    actions = mac.select_actions(step, hidden, mac.draw_noise(n_games, Generators(1), 0.5)).actions
    assert (actions[:, 1] == 1).all()
    counts = torch.bincount(actions[:, 0], minlength=5) / n_games
    expected = 0.3 * avail[0] / 3 + 0.7 * (torch.arange(5) == expected_best[0])
    torch.testing.assert_close(counts, expected, atol=4 * (0.25 / n_games) ** 0.5, rtol=0)
    assert counts[~avail[0]].sum() == 0


def test_evaluation_is_the_policy_that_explores(toys):
    """Of all joint actions, enumerated: probabilities are those by which agents act, and their entropy is right."""
    setup, rollout = make_rollout(make_config("iql", "masked_game", epsilon=0.4))
    batch, mac = rollout.collect(0.0), setup.mac
    with torch.no_grad():
        total, entropy = torch.zeros(batch["actions"].shape), torch.zeros(batch["actions"].shape)
        for action in range(4):
            evaluation = mac.evaluate(batch.with_fields(actions=torch.full_like(batch["actions"], action)), 0.0, None)
            p = evaluation.log_prob.exp()
            assert (p[~batch["avail_actions"][..., action]] == 0).all()
            total += p
            entropy -= torch.where(p > 0, p * p.log(), 0.0)
    torch.testing.assert_close(total, torch.ones_like(total))
    torch.testing.assert_close(entropy, evaluation.entropy)
    n_avail = batch["avail_actions"].sum(-1)
    own = mac.evaluate(batch, 0.0, None).log_prob.exp()
    least = 0.4 / n_avail
    assert (torch.isclose(own, least) | torch.isclose(own, least + 0.6)).all()


# --- mixers ---


def test_no_weight_of_the_monotonic_mixer_is_negative():
    """By automatic differentiation, for states and values of every size and sign, whatever the weights."""
    generator = torch.Generator().manual_seed(0)
    mixer = MonotonicMixer(MIXING, INFO, generator)
    for scale in (0.1, 1.0, 10.0):
        with torch.no_grad():
            for parameter in mixer.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        values = (torch.randn(500, 3, generator=generator) * scale).requires_grad_()
        state = torch.randn(500, 5, generator=generator) * scale
        (gradient,) = torch.autograd.grad(mixer(values, state).sum(), values)
        assert (gradient >= 0).all() and (gradient > 0).float().mean() > 0.7, "but where ELU is flat"
        assert gradient.std(0).min() > 0, "the weights depend on the state"


@pytest.mark.parametrize("kind", [SumMixer, MonotonicMixer])
def test_the_best_joint_action_is_made_of_each_agents_best(kind):
    generator = torch.Generator().manual_seed(1)
    mixer = kind(MIXING, INFO, generator)
    for _ in range(20):
        values, state = torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)
        joint = list(itertools.product(range(4), repeat=3))
        chosen = torch.stack([values[torch.arange(3), list(actions)] for actions in joint])  # [64, 3]
        totals = mixer(chosen, state.expand(64, -1)).squeeze(-1)
        assert list(joint[int(totals.argmax())]) == values.argmax(-1).tolist()


def test_the_other_mixers_are_the_sum_and_nothing():
    values = torch.randn(4, 6, 3)
    torch.testing.assert_close(SumMixer(None, INFO, None)(values, None), values.sum(-1, keepdim=True))
    assert NoMixer(None, INFO, None)(values, None) is values


# --- targets ---


def slow_targets(setup, row: int) -> list[list[float]]:
    """The targets [L][V] of one whole episode of the replay, by definition: unrolled alone, and in loops."""
    learner, info = setup.learner, setup.info
    options, replay, mixer = learner.options, learner.replay, learner.options.mixer.name
    length = int(replay.lengths[row])
    shown = {name: block[row : row + 1, : length + 1] for name, block in replay.blocks.items()}
    before = torch.cat([torch.full_like(shown["actions"][:, :1], -1), shown["actions"][:, :-1]], dim=1)
    start = torch.tensor([[1.0] + [0.0] * length])
    fields = {**shown, "last_actions": before, "episode_start": start, "filled": torch.ones(1, length + 1)}
    batch = EpisodeBatch(fields, learner.mac.init_hidden(1))
    with torch.no_grad():
        present, later = learner.mac.values(batch), learner.target_mac.values(batch)  # [N, L + 1, A]
    following = []  # [L][V]
    for t in range(1, length + 1):
        of_agents = []
        for agent in range(info.n_agents):
            chooser = (present if options.double_q else later)[agent, t].tolist()
            allowed = list(range(info.n_actions))
            if info.masks_actions:
                allowed = [a for a in allowed if shown["avail_actions"][0, t, agent, a]] or [0]
            has_left = info.agents_leave and not shown["active"][0, t, agent]
            value = float(later[agent, t, max(allowed, key=chooser.__getitem__)])
            of_agents.append(0.0 if has_left and mixer != "none" else value)
        if mixer == "qmix":
            with torch.no_grad():
                following.append(learner.target_mixer(torch.tensor(of_agents), shown["state"][0, t]).tolist())
        else:
            following.append(of_agents if mixer == "none" else [sum(of_agents)])
    ended = bool(shown["terminated"][0, length - 1])
    targets = [[0.0] * len(following[0]) for _ in range(length)]
    for k in range(len(following[0])):
        for t in reversed(range(length)):
            is_last = t == length - 1
            is_over = is_last and ended
            if info.n_rewards > 1 and not is_over:
                is_over = not shown["active"][0, t + 1, k]
            after = following[t][k]
            if not is_last:
                after = (1 - options.td_lambda) * after + options.td_lambda * targets[t + 1][k]
            reward = shown["reward"][0, t, k] if info.n_rewards > 1 else shown["reward"][0, t]
            targets[t][k] = float(reward) + (0.0 if is_over else options.gamma * after)
    return targets


@pytest.mark.parametrize(
    ("mixer", "env", "settings"),
    [
        ("none", "leaving_game", {"common_reward": False}),
        ("none", "leaving_game", {"agent": "rnn", "obs_last_action": True}),
        ("vdn", "leaving_game", {"td_lambda": 0.0}),
        ("qmix", "leaving_game", {"agent": "rnn", "double_q": False}),
        ("qmix", "masked_game", {"td_lambda": 1.0, "agent": "rnn", "obs_last_action": True}),
        ("vdn", "aloha", {"env_args__episode_limit": 5, "share_params": False}),
    ],
)
def test_targets_agree_with_slow_loops_over_single_episodes(toys, mixer, env, settings):
    """So nothing leaks from one packed episode into another, and a time-out bootstraps from where it led."""
    setup, learner = filled_learner(make_config("qmix", env, mixer=mixer, **settings))
    replay, n_episodes = learner.replay, 40
    drawn = torch.randperm(replay.size, generator=torch.Generator().manual_seed(0))[:n_episodes]
    rows = replay.rows_by_age()[drawn]
    fields = replay.sample(n_episodes, torch.Generator().manual_seed(0), torch.device("cpu"))
    batch = EpisodeBatch(fields, learner.mac.init_hidden(len(fields["filled"])))
    with torch.no_grad():
        targets, weight = learner.targets(batch, learner.mac.values(batch)), learner.weight(batch)
    piece, place = packed(replay.lengths[rows] + 1)
    for number, row in enumerate(rows.tolist()):
        (line,), (begin,) = ((piece == number) & (place == 0)).nonzero().unbind(1)
        expected = torch.tensor(slow_targets(setup, row))  # [L, V]
        steps = slice(int(begin), int(begin) + len(expected))
        counts = weight[line, steps] > 0
        torch.testing.assert_close(targets[line, steps][counts], expected[counts], atol=1e-4, rtol=1e-4)
        is_there = replay.blocks["active"][row, : len(expected)] > 0 if learner.pays_agents else torch.ones(1) > 0
        assert torch.equal(counts, is_there.expand_as(counts))


def test_a_time_out_is_an_end_where_it_is_said_to_be_one():
    config = make_config("vdn", "aloha", env_args__episode_limit=4, bootstrap_truncated=False, td_lambda=0.0)
    _, learner = filled_learner(config)
    fields = learner.replay.sample(8, torch.Generator().manual_seed(0), torch.device("cpu"))
    batch = EpisodeBatch(fields, learner.mac.init_hidden(8))
    with torch.no_grad():
        targets = learner.targets(batch, learner.mac.values(batch))
    torch.testing.assert_close(targets[:, 3, 0], batch["reward"][:, 3])
    assert not torch.isclose(targets[:, 2, 0], batch["reward"][:, 2]).any()


# --- updates ---


@pytest.mark.parametrize(("interval", "tau"), [(3, 1.0), (1, 0.1), (2, 0.5)])
def test_target_networks_follow_at_intervals_and_by_shares(interval, tau):
    settings = {"target_update_interval": interval, "target_update_tau": tau, "samples_per_insert": 1 / 3}
    config = make_config("qmix", "two_step", lr=0.01, **settings)
    setup, rollout = make_rollout(config)
    learner, batch = setup.learner, rollout.collect(0.0)
    expected = learner.trained.vector.detach().clone()
    for number in range(1, 8):
        assert learner.train(batch, 0.0) and learner.n_steps == number
        if number % interval == 0:
            expected = (1 - tau) * expected + tau * learner.trained.vector.detach()
        torch.testing.assert_close(learner.target.vector.detach(), expected)
        copies = {**learner.target_mac.state_dict(), **learner.target_mixer.state_dict()}
        assert copies.keys() == {**learner.mac.state_dict(), **learner.mixer.state_dict()}.keys()
    flat = torch.cat([p.flatten() for p in (*learner.mac.parameters(), *learner.mixer.parameters())])
    assert not torch.equal(flat, expected) or tau == 1.0


def test_one_gradient_step_is_that_of_the_plain_loss(toys):
    """The gradient of the mean of (Q - target)^2 / 2 over the steps that are data, by automatic differentiation."""
    _, learner = filled_learner(make_config("qmix", "masked_game", huber_delta=1e6, grad_norm_clip=1e9))
    fields = learner.replay.sample(8, torch.Generator().manual_seed(0), torch.device("cpu"))
    batch = EpisodeBatch(fields, learner.mac.init_hidden(len(fields["filled"])))
    values = learner.mac.values(batch)
    target, filled = learner.targets(batch, values.detach()), batch["filled"][:, :-1, None] > 0
    taken = values.gather(-1, batch["actions"].flatten(0, 1).T[..., None])[..., 0].T.view(batch["actions"].shape)
    total = learner.mixer(taken, batch["state"])[:, :-1]
    (0.5 * (total - target)[filled].square().mean()).backward()
    expected = learner.trained.gradient.clone()
    learner.step(batch, collect_stats=True)
    torch.testing.assert_close(learner.trained.gradient, expected)


def test_returns_in_their_own_units_change_no_target(toys):
    """With standardise_returns the networks learn (G - mean) / deviation, and targets come back in rewards."""
    setup, rollout = make_rollout(make_config("vdn", "masked_game", standardise_returns=True))
    learner = setup.learner
    for _ in range(6):
        statistics = learner.train(rollout.collect(0.0), 0.0)
    mean, deviation = learner.value_moments.moments()
    assert mean > 1 and deviation > 0.1
    values = torch.randn(5)
    torch.testing.assert_close(learner.in_rewards(learner.value_moments.normalise(values)), values)
    assert abs(statistics["target_mean"] - mean) < 3 * deviation


def test_standardised_rewards_are_learned_from_as_if_they_had_been_recorded(toys):
    """Mean and deviation of all rewards that came in, where each segment weighs less than the one after it."""
    config = make_config("vdn", "masked_game", standardise_rewards=True, returns_decay=0.8)
    setup, rollout = make_rollout(config)
    learner, mean, square, weight = setup.learner, 0.0, 0.0, 0.0
    for _ in range(6):
        batch = rollout.collect(0.0)
        learner.train(batch, 0.0)
        reward = batch["reward"].double()
        mean, square = 0.8 * mean + 0.2 * reward.mean(), 0.8 * square + 0.2 * reward.square().mean()
        weight = 0.8 * weight + 0.2
    mean, deviation = mean / weight, (square / weight - (mean / weight) ** 2).sqrt()
    fields = learner.replay.sample(4, learner.generators["replay"], learner.generators.device)
    episodes = EpisodeBatch(fields, learner.mac.init_hidden(len(fields["filled"])))
    with torch.no_grad():
        got = learner.targets(episodes, learner.mac.values(episodes))
        learner.reward_moments = None
        standardised = episodes.with_fields(reward=((episodes["reward"] - mean) / deviation).float())
        expected = learner.targets(standardised, learner.mac.values(episodes))
        assert not torch.allclose(got, learner.targets(episodes, learner.mac.values(episodes)), atol=0.1)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples_per_insert", [0.4, 2.5])
def test_recorded_steps_are_learned_from_as_often_as_said(samples_per_insert):
    """Over many segments, but for what the last gradient step takes beyond it; episodes last two steps."""
    setup, rollout = make_rollout(make_config("vdn", "two_step", samples_per_insert=samples_per_insert))
    for _ in range(50):
        setup.learner.train(rollout.collect(0.0), 0.0)
    learned, came_in = 8 * int(setup.learner.n_steps), 50 * 4 * 6
    assert 0 <= learned - samples_per_insert * came_in <= 8


@pytest.mark.parametrize("n_before", [0, 2])
def test_restore_undoes_an_update(n_before):
    standardised = {"standardise_returns": True, "standardise_rewards": True}
    setup, rollout = make_rollout(make_config("qmix", "two_step", target_update_interval=1, **standardised))
    learner, results = setup.learner, []
    for _ in range(n_before):
        learner.train(rollout.collect(0.0), 0.0)
    batch, snapshot = rollout.collect(0.0), learner.snapshot()
    for _ in range(2):
        learner.generators["replay"].manual_seed(3)
        learner.replay = learner.make_replay(4)
        learner.train(batch, 0.0)
        results.append([tensor.clone() for tensor in learner.snapshot()])
        learner.restore(snapshot)
    assert all(torch.equal(left, right) for left, right in zip(*results, strict=True))
    assert not torch.equal(results[0][0], snapshot[0])


@pytest.mark.parametrize("mixer", ["vdn", "qmix"])
def test_a_value_of_the_team_cannot_learn_rewards_by_agent(toys, mixer):
    with pytest.raises(ConfigError, match=r"common_reward=True, or mixer=none \(iql\)"):
        make_rollout(make_config("qmix", "leaving_game", common_reward=False, mixer=mixer))

"""MAGPO: an independent team that is deployed, and the team along a DAG that plays and guides it in training."""

import numpy as np
import pytest
import torch

from bn_mappo.core.clock import Clock
from bn_mappo.core.errors import ConfigError
from bn_mappo.learners.magpo import guide_surrogate
from bn_mappo.modules.action_selectors import kl_divergence
from bn_mappo.training.tester import Tester
from helpers import make_config, make_rollout, train_updates

UNCLIPPED = {"grad_norm_clip": 1e9}  # the norm is that of both teams together


def test_doubly_clipped_surrogate_against_a_loop():
    rng = np.random.default_rng(0)
    mu, old, pi = np.log(rng.uniform(0.05, 0.95, (3, 4, 5, 2)))
    advantage, weight = rng.normal(size=(4, 5, 1)), rng.uniform(size=(4, 5, 2))
    expected, delta, eps = 0.0, 1.5, 0.2
    for b, t, i in np.ndindex(4, 5, 2):
        m, p, p_old = (np.exp(x[b, t, i]) for x in (mu, pi, old))
        near = min(max(m / p, 1 / delta), delta) * p / p_old
        clipped = min(max(near, 1 - eps), 1 + eps)
        gain = advantage[b, t, 0]
        expected += weight[b, t, i] * min(m / p_old * gain, clipped * gain)
    tensors = (torch.from_numpy(x) for x in (mu, old, pi, advantage, weight))
    surrogate, ratio = guide_surrogate(*tensors, eps, float(np.log(delta)))
    assert surrogate.item() == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(ratio.numpy(), np.exp(mu - old))


@pytest.mark.parametrize(("advantage", "is_free"), [(1.0, False), (-1.0, True)])
def test_the_guide_gains_nothing_from_leaving_its_team(advantage, is_free):
    """An action is twice as likely as under pi, with delta 1.5: more of it gains nothing, but less of it may."""
    mu = torch.tensor([[[0.8]]]).log().requires_grad_()
    old, pi, one = mu.detach(), torch.tensor([[[0.4]]]).log(), torch.ones(1, 1, 1)
    surrogate, _ = guide_surrogate(mu, old, pi, advantage * one, one, 0.5, float(np.log(1.5)))
    (gradient,) = torch.autograd.grad(surrogate, mu)
    assert gradient.item() == (pytest.approx(advantage) if is_free else 0.0)


def test_divergence_by_enumeration():
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.5, 0.3])
    ours = kl_divergence(torch.from_numpy(np.log(p))[:, None], torch.from_numpy(np.log(q))[:, None])
    assert ours.item() == pytest.approx(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True)))
    assert kl_divergence(torch.zeros(3, 1), torch.zeros(3, 1)).item() == 0.0


def weights(setup, prefix: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in setup.mac.state_dict().items() if name.startswith(prefix)}


@pytest.mark.parametrize(
    ("alone", "dag"),
    [
        ("ar_mappo", {}),
        ("bn_mappo", {"dag__generator": "learned", "dag__permutation": "plackett_luce"}),
    ],
)
def test_a_guide_that_may_go_anywhere_learns_as_it_would_alone(alone, dag):
    """No ratio of guide and team is above delta, so nothing holds the guide: it is ar_mappo, or bn_mappo."""
    guided, _, _, _ = train_updates(make_config("magpo", guide__delta=1e12, **UNCLIPPED, **dag), 3)
    single, _, _, _ = train_updates(make_config(alone, **UNCLIPPED, **dag), 3)
    for name, value in single.mac.state_dict().items():
        torch.testing.assert_close(guided.mac.state_dict()[name], value, atol=1e-4, rtol=1e-3)
    before = make_rollout(make_config("magpo", **dag))[0]
    assert any(
        not torch.equal(x, weights(guided, "independent")[name]) for name, x in weights(before, "independent").items()
    )


def test_a_team_that_is_left_to_follow_becomes_its_guide():
    """Without a DAG the team can be all that the guide is: following alone (alpha 0) brings their divergence down."""
    config = make_config("magpo", dag__generator="empty", guide__alpha=0.0, lr=0.01, entropy_coef=0.0)
    setup, rollout = make_rollout(config)
    with torch.no_grad():
        for parameter in setup.mac.actor.parameters():
            parameter.mul_(6.0)  # a guide that wants something
    divergences = [float(setup.learner.train(rollout.collect(0.0), 0.0)["guide_kl"]) for _ in range(30)]
    assert divergences[0] > 0.05
    assert np.mean(divergences[-5:]) < 0.1 * divergences[0]


def test_evaluations_judge_the_independent_team():
    config = make_config("magpo", test_nepisode=8)
    setup, _ = make_rollout(config)
    tester, clock = Tester(config, setup.mac), Clock(config.t_max)
    before = tester(clock)["return"]
    with torch.no_grad():
        for parameter in setup.mac.actor.parameters():
            parameter.normal_()
    assert np.array_equal(tester(clock)["return"], before)
    with torch.no_grad():
        for parameter in setup.mac.independent.parameters():
            parameter.normal_()
    assert not np.array_equal(tester(clock)["return"], before)


def test_recurrent_teams_remember_apart():
    """Both ratios are exact before the first step: pi's own memory along the recorded games is that of acting."""
    config = make_config("magpo", agent="rnn", batch_size_run=2, batch_size=2, segment_length=7)
    setup, rollout = make_rollout(config)
    assert setup.mac.hidden_size == 2 * setup.mac.independent.hidden_size > 0
    rollout.collect(0.0)
    before = rollout.games.hidden.clone()
    batch = rollout.collect(0.0)
    assert torch.equal(batch.first_hidden, before)
    assert setup.learner.train(batch, 0.0)["first_ratio_error"] < 1e-5
    _, pi = setup.mac.split_hidden(before)
    again = setup.mac.independent.init_hidden(2)
    fresh, games = make_rollout(config)
    first = games.collect(0.0)
    with torch.no_grad():
        _, again = fresh.mac.independent.encode(first["obs"], None, again, first["episode_start"])
    torch.testing.assert_close(pi, again)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"mac": "dag_controller"}, "mac=guided_controller"), ({"learner": "bn_mappo"}, "learner=magpo")],
)
def test_guide_and_learner_go_together(settings, words):
    with pytest.raises(ConfigError, match=words):
        make_rollout(make_config("magpo", **settings))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_an_independent_team_learns_the_climbing_game_from_its_guide(seed):
    """MAPPO stays at 7 here (docs/benchmark.md); a guide that acts in turn finds the 11, and its team keeps it."""
    config = make_config(
        "magpo",
        "matrix_game",
        **{"env_args__payoff": "climbing", "batch_size_run": 16, "segment_length": 4, "t_max": 5_000, "seed": seed},
        **{"lr": 0.002, "critic_lr": 0.002, "entropy_coef": {"start": 1.0, "end": 0.001, "until": 0.8}},
        guide__delta=4.0,
    )
    setup, rollout = make_rollout(config)
    clock = Clock(config.t_max)
    while not clock.is_over:
        setup.learner.train(rollout.collect(clock.fraction), clock.fraction)
        clock.advance(64)
    assert (Tester(config, setup.mac)(clock)["return"] == 11.0).all()

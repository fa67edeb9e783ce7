"""A2C as one step of PPO, and the BN policy on other actor-critics."""

import pytest
import torch

from bn_mappo.learners.losses import masked_mean
from helpers import make_config, make_rollout, train_updates


def trained(alg: str, **settings) -> dict[str, torch.Tensor]:
    config = make_config(alg, lr=0.01, env_args__episode_limit=4, segment_length=10, **settings)
    setup, _, statistics, _ = train_updates(config, 4)
    assert max(row["ratio_error"] for row in statistics) < 1e-5 or "a2c" not in alg
    named = {f"actor.{name}": value for name, value in setup.mac.state_dict().items() if not name.startswith("dag.")}
    return named | {f"critic.{name}": value for name, value in setup.learner.critic.state_dict().items()}


@pytest.mark.parametrize(("product", "correlated"), [("maa2c", "bn_a2c"), ("ippo", "bn_ippo")])
def test_the_bn_policy_without_edges_is_the_product_policy_bit_for_bit(product, correlated):
    ours, theirs = trained(correlated, dag__generator="empty"), trained(product)
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("alg", ["maa2c", "ia2c", "bn_a2c"])
def test_the_gradient_is_that_of_advantage_actor_critic(alg):
    """Mean of A log pi, entropy and squared errors of values, by automatic differentiation of the plain formula."""
    dag = {"dag__generator": "full"} if alg == "bn_a2c" else {}
    config = make_config(alg, lr=1e-9, critic_lr=1e-9, grad_norm_clip=1e9, huber_delta=1e9, **dag)
    setup, rollout = make_rollout(config)
    learner, batch = setup.learner, rollout.collect(0.0)
    parameters = [p for network in (setup.mac, learner.critic) for p in network.parameters()]
    targets = learner.compute_targets(batch)  # moves the moments of returns
    ((_, weighted),) = learner.mini_batches(batch, targets)
    learner.step(batch, weighted, 0.0, False)
    stepped = [p.grad.clone() for p in parameters]
    learner.gradient.zero_()
    evaluation = setup.mac.evaluate(batch, 0.0, setup.generators)
    gain = masked_mean(targets.advantage * evaluation.log_prob, targets.weight)
    entropy = masked_mean(evaluation.entropy, targets.weight)
    errors = 0.5 * (learner.critic(batch.fields) - targets.target).square()
    loss = -gain - learner.options.entropy_coef(0.0) * entropy + masked_mean(errors, targets.value_weight)
    loss.backward()
    for ours, p in zip(stepped, parameters, strict=True):
        torch.testing.assert_close(ours, p.grad, atol=1e-5, rtol=1e-3)


def test_ar_mappo_acts_along_a_full_dag_in_new_orders():
    config = make_config("ar_mappo")
    setup, rollout = make_rollout(config)
    noise = setup.mac.draw_noise(200, setup.generators, 0.0)
    dags = setup.mac.generate(torch.zeros(200, *rollout.games.observation.obs.shape[1:]), None, noise, 0.0)
    n_agents = dags.order.shape[-1]
    assert (dags.adjacency.sum((1, 2)) == n_agents * (n_agents - 1) / 2).all()
    assert dags.order.unique(dim=0).shape[0] > 190 and (dags.order.sort(-1).values == torch.arange(n_agents)).all()
    statistics = setup.learner.train(rollout.collect(0.0), 0.0)
    assert statistics["first_ratio_error"] < 1e-5

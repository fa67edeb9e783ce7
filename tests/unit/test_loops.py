"""Compiled loops over what agents see, against the plain formulas and automatic differentiation."""

import pytest
import torch

from bn_mappo.core.specs import EntityGroup
from bn_mappo.modules import sets
from bn_mappo.modules.dag import nets
from bn_mappo.modules.layers import AgentLinear
from helpers import make_config, make_rollout

R, K, WIDTH, CODE, FIRST = 40, 5, 3, 7, 4  # samples, things, features, units of a code, where the things begin
GROUP = EntityGroup("things", FIRST, K, WIDTH)
N_AGENTS, M = 4, 6
ALLIES = EntityGroup("allies", 2, N_AGENTS - 1, WIDTH, are_agents=True)


def some(*shape: int, share_of_zeros: float = 0.0) -> torch.Tensor:
    """Normal variables, some of the last rows all zeros."""
    values = torch.randn(*shape)
    return values * (torch.rand(*shape[:-1], 1) >= share_of_zeros)


def observations(share_of_zeros: float) -> torch.Tensor:
    things = some(R, K, WIDTH, share_of_zeros=share_of_zeros).flatten(1)
    return torch.cat([torch.randn(R, FIRST), things, torch.randn(R, 2)], 1)


def both_ways(monkeypatch, module, function, leaves):
    """What a function of the leaves gives and its gradients, with the loops and without."""
    found = []
    for has in (True, False):
        monkeypatch.setattr(module, "has_loops", lambda _, has=has: has)
        for leaf in leaves:
            leaf.grad = None
        result = function()
        generator = torch.Generator().manual_seed(0)
        (result * torch.randn(result.shape, generator=generator)).sum().backward()
        found.append([result.detach(), *(leaf.grad.clone() for leaf in leaves)])
    return found


@pytest.mark.parametrize("share_of_zeros", [0.0, 0.6, 1.0])
def test_sums_over_things_and_their_gradients(monkeypatch, share_of_zeros):
    torch.manual_seed(0)
    obs, layer = observations(share_of_zeros), AgentLinear(1, WIDTH, CODE, torch.Generator())
    torch.nn.init.normal_(layer.bias)  # things that are not seen have a code too
    weights = some(R, K, 1, share_of_zeros=0.5).squeeze(-1).requires_grad_()
    vectors = torch.randn(R, CODE, requires_grad=True)
    rows = slice(3, R - 2)

    def everything() -> torch.Tensor:
        codes = sets.encode_things(obs, GROUP, layer)
        products = sets.dot_codes(vectors[rows], codes, rows)
        return torch.cat([sets.sum_codes(codes)[rows], sets.sum_weighted_codes(weights, codes)[rows], products], 1)

    fast, plain = both_ways(monkeypatch, sets, everything, [layer.weight, layer.bias, weights, vectors])
    for of_loops, of_formula in zip(fast, plain, strict=True):
        torch.testing.assert_close(of_loops, of_formula, rtol=1e-5, atol=1e-5)
    assert all(gradient.abs().max() > 0.1 for gradient in plain[2:])


def test_a_thing_with_a_feature_that_is_not_a_number_is_seen():
    obs = torch.zeros(1, FIRST + K * WIDTH)
    obs[0, FIRST + WIDTH + 1] = torch.nan  # of the second thing
    layer = AgentLinear(1, WIDTH, CODE, torch.Generator())
    assert sets.sum_codes(sets.encode_things(obs, GROUP, layer)).isnan().any()


@pytest.mark.parametrize("share_of_zeros", [0.0, 0.6, 1.0])
def test_edge_logits_of_pairs_and_their_gradients(monkeypatch, share_of_zeros):
    torch.manual_seed(1)
    seen = some(M, N_AGENTS, N_AGENTS - 1, WIDTH, share_of_zeros=share_of_zeros).flatten(2)
    obs = torch.cat([torch.randn(M, N_AGENTS, 2), seen, torch.randn(M, N_AGENTS, 1)], -1)
    net = nets.PairNet(N_AGENTS, obs.shape[-1], ALLIES, 16, 0.3)
    upper = torch.ones(N_AGENTS, N_AGENTS).triu(1)  # as orders have it: edges that are not allowed get no gradient

    fast, plain = both_ways(monkeypatch, nets, lambda: net(obs) * upper, list(net.parameters()))
    for of_loops, of_formula in zip(fast, plain, strict=True):
        torch.testing.assert_close(of_loops, of_formula, rtol=1e-5, atol=1e-5)
    all_pairs = both_ways(monkeypatch, nets, lambda: net(obs), list(net.parameters()))
    torch.testing.assert_close(*(torch.cat([x.flatten() for x in found]) for found in all_pairs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("generator", ["empty", "full", "learned"])
def test_agents_without_a_choice_are_left_out_and_nothing_changes(monkeypatch, generator):
    """A dead agent has one action: its probability is 1 whatever the logits are."""
    settings = {"agent": "entity", "env_args__map_name": "MMM", "dag__generator": generator, "segment_length": 40}
    setup, rollout = make_rollout(make_config("bn_mappo", "skirmish", **settings))
    batch = rollout.collect(0.0)
    deciding = setup.mac.deciding(batch)
    assert 0.1 < deciding.float().mean() < 0.95
    weight = setup.learner.weight(batch)
    assert torch.equal(weight.flatten(0, 1).T > 0, deciding), "what is left out is what has no weight"
    found = []
    for leaves_out in (True, False):
        if not leaves_out:
            monkeypatch.setattr(setup.mac, "deciding", lambda _: None)
        setup.learner.gradient.zero_()
        evaluation = setup.mac.evaluate(batch, 0.0, setup.generators, with_stats=True)
        ((evaluation.log_prob + evaluation.entropy) * weight).sum().backward()
        facts = [evaluation.log_prob, evaluation.entropy, evaluation.dag_stats["kl_to_empty_dag"]]
        found.append([*(fact.detach() for fact in facts), setup.learner.gradient.clone()])
    for left_out, computed in zip(*found, strict=True):
        torch.testing.assert_close(left_out, computed, rtol=1e-4, atol=1e-4)
    assert found[1][-1].abs().max() > 0.01

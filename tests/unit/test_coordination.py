"""Coordination graphs: message passing against enumeration, payoffs and Q_tot against slow loops."""

import itertools

import pytest
import torch

from bn_mappo.controllers.graph_controller import largest_variance
from bn_mappo.core.errors import ConfigError
from bn_mappo.modules.coordination.graphs import edges_of
from bn_mappo.modules.coordination.max_plus import joint_value, max_plus
from bn_mappo.modules.coordination.payoffs import PayoffNet
from bn_mappo.training.build import build
from helpers import make_config, make_rollout

A = 3


def drawn(edges, n_agents: int, n_samples: int = 60):
    generator = torch.Generator().manual_seed(n_agents)
    utilities = torch.randn(n_samples, n_agents, A, generator=generator)
    return utilities, 2 * torch.randn(n_samples, edges.shape[1], A, A, generator=generator)


def best_by_enumeration(utilities, tables, edges, avail):
    """The highest value of all available joint actions, by a slow loop: [M]."""
    values = []
    for m in range(len(utilities)):
        n_agents, found = utilities.shape[1], []
        for joint in itertools.product(range(A), repeat=n_agents):
            if all(avail[m, agent, action] for agent, action in enumerate(joint)):
                value = sum(utilities[m, agent, action].item() for agent, action in enumerate(joint))
                pairs = zip(*edges.tolist(), strict=True)
                value += sum(tables[m, e, joint[i], joint[j]].item() for e, (i, j) in enumerate(pairs))
                found.append(value)
        values.append(max(found))
    return torch.tensor(values)


@pytest.mark.parametrize("topology", ["line", "star", "full", "cycle"])
@pytest.mark.parametrize("n_agents", [1, 2, 5])
def test_message_passing_finds_the_best_joint_action(topology, n_agents):
    """On trees always; on cycles often, and never less than agents that ignore the payoffs."""
    edges = edges_of(topology, n_agents)
    utilities, tables = drawn(edges, n_agents)
    avail = torch.rand(utilities.shape, generator=torch.Generator().manual_seed(1)) < 0.7
    avail[..., 0] |= ~avail.any(-1)
    actions = max_plus(utilities, tables, edges, 8, avail)
    assert avail.gather(-1, actions.unsqueeze(-1)).all()
    value, best = joint_value(utilities, tables, edges, actions), best_by_enumeration(utilities, tables, edges, avail)
    is_best = (value - best).abs() < 1e-4
    is_tree = topology in ("line", "star") or n_agents < 3
    assert is_best.all() if is_tree else is_best.float().mean() > 0.8
    alone = max_plus(utilities, tables, edges, 0, avail)
    previous = joint_value(utilities, tables, edges, alone)
    for n_rounds in range(1, 9):
        value = joint_value(utilities, tables, edges, max_plus(utilities, tables, edges, n_rounds, avail))
        assert (value >= previous).all()
        previous = value


def test_edges_that_are_left_out_have_no_part():
    edges = edges_of("full", 4)
    utilities, tables = drawn(edges, 4)
    is_edge = (torch.rand(60, 6, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    without = max_plus(utilities, tables * is_edge[..., None, None], edges, 8)
    assert torch.equal(max_plus(utilities, tables, edges, 8, None, is_edge), without)


def test_payoffs_do_not_depend_on_who_is_the_first_of_a_pair():
    net = PayoffNet(4, 8, A, 2, torch.Generator().manual_seed(0))
    inputs = torch.randn(3, 7, 4)
    edges = edges_of("full", 3)
    tables = net(inputs, edges).tables()
    torch.testing.assert_close(tables, net(inputs, edges.flip(0)).tables().mT)
    first, second = torch.randint(A, (2, 7, 3))
    taken = net(inputs, edges).of_actions(first, second)
    for m, e in itertools.product(range(7), range(3)):
        assert taken[m, e].item() == pytest.approx(tables[m, e, first[m, e], second[m, e]].item(), abs=1e-5)


def test_the_value_of_the_team_is_the_mean_utility_plus_the_mean_payoff():
    setup, rollout = make_rollout(make_config("dcg", batch_size=4, buffer_size=20))
    batch, mac = rollout.collect(0.0), setup.mac
    with torch.no_grad():
        values = mac.values(batch)
        total = mac.of_actions(values, batch["actions"], None).sum(-1)  # [B, T]
        tables = values.payoffs.tables().unflatten(0, batch["actions"].shape[:2])  # [B, T, E, A, A]
        utilities = values.utilities.unflatten(1, batch["actions"].shape[:2])  # [N, B, T, A]
    n_agents, pairs = 10, list(itertools.combinations(range(10), 2))
    for b, t in ((0, 0), (1, 3), (3, 5)):
        a = batch["actions"][b, t].tolist()
        expected = sum(utilities[i, b, t, a[i]].item() for i in range(n_agents)) / n_agents
        expected += sum(tables[b, t, e, a[i], a[j]].item() for e, (i, j) in enumerate(pairs)) / len(pairs)
        assert total[b, t].item() == pytest.approx(expected, abs=1e-5)


def test_the_edges_that_are_kept_have_the_largest_variance():
    tables = 0.1 * torch.randn(5, 6, A, A, generator=torch.Generator().manual_seed(3))
    slow = [[max(t[a].var(correction=0) for t in (x, x.T) for a in range(A)).item() for x in row] for row in tables]
    torch.testing.assert_close(largest_variance(tables), torch.tensor(slow))
    config = make_config("casec", env="skirmish", env_args__map_name="3m", edge_share=0.34, batch_size=4)
    mac = build(config).mac
    planted = torch.zeros(4, 3, 9, 9)
    planted[torch.arange(4), torch.tensor([0, 2, 1, 2]), 1, 2] = 5.0
    planted += 100 * torch.rand(4, 3, 1, 1)  # a constant payoff says nothing
    assert mac.kept_edges(planted).argmax(-1).tolist() == [0, 2, 1, 2]
    assert (mac.kept_edges(planted).sum(-1) == 1).all()


def test_the_penalty_of_variance_is_the_mean_over_edges_and_actions():
    config = make_config("casec", batch_size=4, payoff_variance_coef=0.5)
    setup, rollout = make_rollout(config)
    values = setup.mac.values(rollout.collect(0.0))
    n_samples = values.utilities.shape[1]
    weight = torch.rand(n_samples)
    weight /= weight.sum()
    tables = values.payoffs.tables().detach()
    expected = sum(
        weight[m] * torch.stack([t[a].var(correction=0) for x in tables[m] for t in (x, x.T) for a in range(2)]).mean()
        for m in range(n_samples)
    )
    torch.testing.assert_close(setup.mac.extra_loss(values, weight).detach(), 0.5 * expected)


def test_the_sum_is_the_only_mixer_of_a_graph():
    with pytest.raises(ConfigError, match="mixer=vdn"):
        build(make_config("dcg", mixer="qmix"))

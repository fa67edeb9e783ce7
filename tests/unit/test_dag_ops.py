"""Statements about graphs, against slow and obvious versions."""

import itertools

import pytest
import torch

from bn_mappo.modules.dag.ops import communication, density, depth, is_acyclic, precedence


def random_graphs(n_agents: int, n_graphs: int, share: float, seed: int = 0) -> torch.Tensor:
    """Graphs without self-loops, many of them cyclic."""
    generator = torch.Generator().manual_seed(seed)
    graphs = (torch.rand(n_graphs, n_agents, n_agents, generator=generator) < share).float()
    return graphs * (1 - torch.eye(n_agents))


def has_topological_order(adjacency: torch.Tensor) -> bool:
    """By trying all orders."""
    n_agents = len(adjacency)
    for order in itertools.permutations(range(n_agents)):
        rank = {agent: k for k, agent in enumerate(order)}
        if all(rank[j] < rank[i] for j, i in adjacency.nonzero().tolist()):
            return True
    return False


def longest_path(adjacency: torch.Tensor, agent: int) -> int:
    parents = adjacency[:, agent].nonzero().flatten().tolist()
    return max((1 + longest_path(adjacency, parent) for parent in parents), default=0)


def test_is_acyclic_agrees_with_trying_all_orders():
    graphs = random_graphs(4, 200, share=0.3)
    expected = [has_topological_order(graph) for graph in graphs]
    assert 20 < sum(expected) < 180
    assert is_acyclic(graphs).tolist() == expected


def test_depth_is_the_longest_path():
    graphs = random_graphs(6, 100, share=0.4).triu(1)
    expected = [[longest_path(graph, agent) for agent in range(6)] for graph in graphs]
    assert depth(graphs).tolist() == expected


def test_depth_refuses_a_cycle():
    with pytest.raises(ValueError, match="cycle"):
        depth(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


def test_density_counts_edges_of_those_possible():
    assert density(torch.ones(5, 5).triu(1)).item() == 1.0
    assert density(torch.zeros(2, 5, 5)).tolist() == [0.0, 0.0]
    assert density(torch.diag(torch.ones(3), 1)).item() == pytest.approx(3 / 6)


def test_precedence_says_who_acts_before_whom():
    before = precedence(torch.tensor([[2, 0, 1]]))[0]
    assert before.nonzero().tolist() == [[0, 1], [2, 0], [2, 1]]


def test_communication_is_one_message_an_edge():
    messages, n_bytes = communication(torch.ones(1, 4, 4).triu(1), message_bytes=8)
    assert (messages.item(), n_bytes.item()) == (6, 48)

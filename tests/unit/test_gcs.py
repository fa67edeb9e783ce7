"""GCS: its penalties against enumeration of graphs and finite differences, and what is cut."""

import itertools

import pytest
import torch

from bn_mappo.modules.dag.gcs import acting_order, cyclicity, long_walks
from bn_mappo.modules.dag.ops import depth, is_acyclic, precedence
from helpers import make_config, make_rollout, train_updates


def all_graphs(n_agents: int) -> torch.Tensor:
    """Every directed graph without loops, [2^(N (N - 1)), N, N]."""
    pairs = list(itertools.permutations(range(n_agents), 2))
    graphs = torch.zeros(2 ** len(pairs), n_agents, n_agents)
    for k, bits in enumerate(itertools.product([0.0, 1.0], repeat=len(pairs))):
        for (j, i), bit in zip(pairs, bits, strict=True):
            graphs[k, j, i] = bit
    return graphs


def has_cycle(graph: torch.Tensor) -> bool:
    """By following edges from every agent, slowly."""

    def reaches(start: int, agent: int, seen: set[int]) -> bool:
        for child in graph[agent].nonzero().flatten().tolist():
            if child == start or (child not in seen and reaches(start, child, seen | {child})):
                return True
        return False

    return any(reaches(agent, agent, {agent}) for agent in range(len(graph)))


@pytest.mark.parametrize("n_agents", [2, 3, 4])
def test_the_penalties_are_zero_for_exactly_the_graphs_that_they_ask_for(n_agents):
    graphs = all_graphs(n_agents)
    acyclic = torch.tensor([not has_cycle(graph) for graph in graphs])
    assert int(acyclic.sum()) == {2: 3, 3: 25, 4: 543}[n_agents]  # Robinson's numbers of labelled DAGs
    assert torch.equal(cyclicity(graphs) < 1e-5, acyclic)
    for max_depth in (1, 2):
        assert torch.equal(long_walks(graphs[acyclic], max_depth) == 0, depth(graphs[acyclic]).amax(-1) <= max_depth)


@pytest.mark.parametrize("n_agents", [1, 3, 4])
def test_parents_come_first_where_there_is_no_cycle_and_cycles_are_cut(n_agents):
    graphs = all_graphs(n_agents)
    order = acting_order(graphs)
    assert torch.equal(order.sort(-1).values, torch.arange(n_agents).expand_as(order))
    cut = graphs * precedence(order)
    assert is_acyclic(cut).all()
    assert torch.equal((cut == graphs).all((1, 2)), is_acyclic(graphs)), "no edge of a DAG is cut"


def test_gradients_are_finite_differences():
    weights = torch.rand(3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(cyclicity, weights)
    assert torch.autograd.gradcheck(lambda w: long_walks(w, 2), weights)


def test_the_likelihood_is_that_of_the_graph_as_drawn_and_what_acts_is_a_dag():
    config = make_config("gcs", env_args__rows=2, env_args__columns=2, lr=0.02)
    setup, rollout, statistics, _ = train_updates(config, 4)
    assert max(row["first_dag_edge_ratio_error"] for row in statistics) < 1e-5
    assert max(row["first_ratio_error"] for row in statistics) < 1e-5
    batch = rollout.collect(0.0)
    dags = setup.mac.rebuild(batch, 0.0, setup.generators)
    assert is_acyclic(dags.adjacency).all()
    others = 1 - torch.eye(4)
    drawn = batch["dag_edges"].flatten(0, 1) * others
    assert (drawn.sum((1, 2)) > dags.adjacency.sum((1, 2))).any(), "no cycle was cut, so the test saw none"
    chance = torch.distributions.Bernoulli(probs=torch.where(others == 1, dags.edge_actions.probability, 0.5))
    expected = (chance.log_prob(drawn) * others).sum(1)
    torch.testing.assert_close(dags.edge_actions.log_prob, expected, atol=1e-4, rtol=1e-4)


def test_the_penalty_alone_makes_graphs_acyclic():
    config = make_config("gcs", lr=0.01, dag__acyclicity_coef=10.0, env_args__rows=2, env_args__columns=2)
    setup, rollout = make_rollout(config)
    penalties = []
    for _ in range(60):
        statistics = setup.learner.train(rollout.collect(0.0), 0.0)
        penalties.append(float(statistics["dag_penalty"]))
    assert penalties[-1] < 0.05 * penalties[0]

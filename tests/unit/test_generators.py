"""Every way to come by a DAG: acyclic, parents first, differentiable where it is learned."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from bn_mappo.core.errors import ConfigError
from bn_mappo.modules.dag.assignment import assign
from bn_mappo.modules.dag.edges import bernoulli_edges, straight_through_edges
from bn_mappo.modules.dag.generators import REGISTRY, NoiseScale, fixed_adjacency
from bn_mappo.modules.dag.ops import is_acyclic
from bn_mappo.modules.dag.permutation import PlackettLuceOrders, plackett_luce_log_prob, sinkhorn
from helpers import make_config

N_AGENTS, PARTS = 5, (5, 3)
FORMS = [
    {"dag__permutation": permutation, "dag__edge_index": index, "dag__edge_net": net}
    for permutation in ("identity", "gumbel_sinkhorn", "plackett_luce")
    for index in ("agent", "rank")
    for net in ("mlp", "deep_set")
]
OTHERS = [name for name in REGISTRY if name not in ("learned", "distance", "subteams")]  # test_distance_dag.py
CASES = [(name, {}) for name in OTHERS] + [("learned", form) for form in FORMS]


def build(name: str, form: dict, seed: int = 0, **updates):
    adjacency = torch.ones(N_AGENTS, N_AGENTS).tril(-1).int().tolist()  # every edge points to a lower number
    given = {"dag__adjacency": adjacency} if name == "fixed" else {}
    config = make_config(dag__generator=name, **given, **form, **updates)
    torch.manual_seed(seed)
    return REGISTRY[name](config.mac.options.dag.generator.options, N_AGENTS, PARTS, 16)


def sample(generator, n_samples: int, seed: int = 0):
    rng = torch.Generator().manual_seed(seed)
    context = torch.randn(n_samples, *PARTS, generator=rng)
    return generator(context, generator.draw_noise(n_samples, NoiseScale(1.0, 1.0), rng))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_every_sample_is_a_dag_with_parents_first(name, form):
    dag = sample(build(name, form), 300)
    assert set(dag.adjacency.unique().tolist()) <= {0.0, 1.0}
    assert is_acyclic(dag.adjacency).all()
    assert (dag.order.sort(-1).values == torch.arange(N_AGENTS)).all()
    rank = dag.order.argsort(-1)
    for b, parent, child in dag.adjacency.nonzero().tolist():
        assert rank[b, parent] < rank[b, child]


def slow_mode(generator, form: dict, context: torch.Tensor) -> list[tuple[list[int], set[tuple[int, int]]]]:
    """The likeliest order and edges (parent, child) of a learned DAG for each context, by trying and looping."""
    modes, agents = [], range(N_AGENTS)
    logits = generator.edge_net(context).tolist()
    scores = None if generator.orders is None else generator.orders.scores(context).tolist()
    for b in range(len(context)):
        order = tuple(agents)
        if form["dag__permutation"] == "gumbel_sinkhorn":
            order = max(itertools.permutations(agents), key=lambda p: sum(scores[b][k][p[k]] for k in agents))
        elif form["dag__permutation"] == "plackett_luce":
            order = tuple(sorted(agents, key=lambda agent: -scores[b][agent]))
        edges = set()
        for k, later in itertools.combinations(agents, 2):
            parent, child = order[k], order[later]
            row, column = (parent, child) if form["dag__edge_index"] == "agent" else (k, later)
            if logits[b][row][column] > 0:
                edges.add((parent, child))
        modes.append((list(order), edges))
    return modes


@pytest.mark.parametrize("form", FORMS)
def test_zero_noise_gives_the_likeliest_order_and_edges(form):
    generator = build("learned", form, dag__edge_bias=0.0)
    context = torch.randn(20, *PARTS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        dag, modes = generator(context, None), slow_mode(generator, form, context)
    assert dag.order.tolist() == [order for order, _ in modes]
    assert [{tuple(edge) for edge in graph.nonzero().tolist()} for graph in dag.adjacency] == [e for _, e in modes]
    assert 20 < dag.adjacency.sum() < 180, "all edges or none, so the test would not see a difference"


def test_static_graphs_have_the_edges_of_the_paper():
    shape = {name: sample(build(name, {}), 1).adjacency[0] for name in ("empty", "full", "line", "fixed")}
    edges = {name: [tuple(edge) for edge in graph.nonzero().tolist()] for name, graph in shape.items()}
    assert edges["empty"] == []
    assert edges["full"] == [(j, i) for j in range(N_AGENTS) for i in range(j + 1, N_AGENTS)]
    assert edges["line"] == [(j, j + 1) for j in range(N_AGENTS - 1)]
    assert all(child < parent for parent, child in edges["fixed"])
    assert len(edges["fixed"]) == 10


def test_random_graph_has_the_configured_density():
    graphs = sample(build("random", {"dag__probability": 0.3}), 4000).adjacency
    assert graphs.sum((-2, -1)).mean().item() / 10 == pytest.approx(0.3, abs=0.01)


def test_edge_frequency_is_the_sigmoid_of_the_logit():
    rng = torch.Generator().manual_seed(0)
    generator = build("learned", FORMS[0])
    noise = generator.draw_noise(200_000, NoiseScale(1.0, 1.0), rng)["dag_edge_noise"][:, 0, 1]
    for logit in (-2.0, 0.0, 1.0):
        edges = straight_through_edges(torch.full_like(noise, logit), noise, 1.0)
        assert edges.mean().item() == pytest.approx(torch.sigmoid(torch.tensor(logit)).item(), abs=0.005)


def test_first_in_order_follows_the_scores_as_gumbel_max_says():
    """With scores that depend on the agent only in one rank, P(agent first) is close to the softmax of that rank."""
    rng = torch.Generator().manual_seed(0)
    scores = torch.zeros(1, 3, 3)
    scores[0, 0] = torch.tensor([4.0, 0.0, 0.0])
    noise = build("learned", FORMS[4]).draw_noise(1, NoiseScale(1.0, 1.0), rng)
    assert noise["dag_order_noise"].shape == (1, N_AGENTS, N_AGENTS)
    gumbel = -(-torch.rand(4000, 3, 3, generator=rng).log()).log()
    first = assign(scores + gumbel)[:, 0]
    assert (first == 0).float().mean() > 0.9


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_edge_gradient_agrees_with_finite_differences_of_the_relaxed_edge(temperature):
    rng = torch.Generator().manual_seed(0)
    logits, noise, weight = (torch.randn(3, 4, 4, generator=rng, dtype=torch.float64) for _ in range(3))
    logits.requires_grad_()
    (straight_through_edges(logits, noise, temperature) * weight).sum().backward()
    step = 1e-6
    upper, lower = (torch.sigmoid((logits.detach() + s + noise) / temperature) for s in (step, -step))
    torch.testing.assert_close(logits.grad, weight * (upper - lower) / (2 * step), rtol=1e-6, atol=1e-9)


def test_sinkhorn_is_doubly_stochastic_and_its_gradient_agrees_with_finite_differences():
    torch.manual_seed(0)
    scores = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 4, 4, dtype=torch.float64)
    matrix = sinkhorn(scores, 300)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(2, 4, dtype=torch.float64))
    torch.testing.assert_close(matrix.sum(-2), torch.ones(2, 4, dtype=torch.float64))
    (matrix * weight).sum().backward()
    numeric, step = torch.zeros_like(scores), 1e-6
    for index in torch.cartesian_prod(*(torch.arange(size) for size in scores.shape)).tolist():
        values = []
        for sign in (step, -step):
            moved = scores.detach().clone()
            moved[tuple(index)] += sign
            values.append((sinkhorn(moved, 300) * weight).sum())
        numeric[tuple(index)] = (values[0] - values[1]) / (2 * step)
    torch.testing.assert_close(scores.grad, numeric, rtol=1e-6, atol=1e-9)


def test_few_iterations_point_the_same_way_as_many():
    torch.manual_seed(0)
    base = torch.nn.functional.logsigmoid(torch.randn(200, 10, 10)) - (-torch.rand(200, 10, 10).log()).log()
    weight, gradients = torch.randn(200, 10, 10), []
    for iterations in (10, 300):
        scores = base.clone().requires_grad_()
        (sinkhorn(scores, iterations) * weight).sum().backward()
        gradients.append(scores.grad.flatten())
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.9995


def test_sinkhorn_stays_finite_with_extreme_scores():
    rng = torch.Generator().manual_seed(0)
    scores = (1e3 * torch.randn(20, 6, 6, generator=rng)).requires_grad_()
    matrix = sinkhorn(scores, 10)
    (matrix * torch.randn(20, 6, 6, generator=rng)).sum().backward()
    assert matrix.isfinite().all()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_gradients_reach_edge_and_permutation_nets(form):
    generator = build("learned", form)
    dag = sample(generator, 50)
    weight = torch.randn(N_AGENTS, N_AGENTS, generator=torch.Generator().manual_seed(1))
    loss = (dag.adjacency * weight).sum()
    (loss if dag.order_log_prob is None else loss + dag.order_log_prob.sum()).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "needs dag.adjacency"),
        ([[0, 1], [0, 0]], "needs 3 x 3"),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "cycle"),
        ([[1, 0, 0], [0, 0, 0], [0, 0, 0]], "cycle"),
    ],
)
def test_fixed_graph_is_checked(rows, message):
    with pytest.raises(ConfigError, match=message):
        fixed_adjacency(rows, 3)


@pytest.mark.parametrize("form", FORMS)
def test_generator_gradient_agrees_with_finite_differences_of_its_relaxed_parts(form):
    """d sum(W * G) along a direction in weight space; with edges by agent, for instance,

    G = U * A, A = Pi^T M Pi: W . (dU * A + U * (dPi^T M Pi + Pi^T M dPi)), with hard U and Pi, and dU and dPi finite
    differences of the sigmoid and of Sinkhorn's matrix.
    """
    generator = build("learned", form, dag__sinkhorn_iterations=300).double()
    rng = torch.Generator().manual_seed(0)
    context = torch.randn(6, *PARTS, generator=rng, dtype=torch.float64)
    noise = {k: v.double() for k, v in generator.draw_noise(6, NoiseScale(1.0, 1.0), rng).items()}
    weight = torch.randn(6, N_AGENTS, N_AGENTS, generator=rng, dtype=torch.float64)
    (generator(context, noise).adjacency * weight).sum().backward()
    direction = [torch.randn(p.shape, generator=rng, dtype=torch.float64) for p in generator.parameters()]
    # without gradient: the scores of Plackett-Luce, whose order is not relaxed
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in generator.parameters()]
    analytic = sum((grad * v).sum() for grad, v in zip(gradients, direction, strict=True))

    def parts(step: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            for p, v in zip(generator.parameters(), direction, strict=True):
                p.add_(step * v)
            score = generator.edge_net(context) + noise["dag_edge_noise"]
            hard_u, soft_u = (score > 0).double(), torch.sigmoid(score)
            hard_pi = soft_pi = torch.eye(N_AGENTS, dtype=torch.float64).expand(6, -1, -1)
            if form["dag__permutation"] == "plackett_luce":  # the order does not change, and has no relaxation
                order = generator(context, noise).order
                hard_pi = soft_pi = torch.nn.functional.one_hot(order, N_AGENTS).double()
            elif form["dag__permutation"] == "gumbel_sinkhorn":
                scores = generator.orders.scores(context) + noise["dag_order_noise"]
                hard_pi = torch.nn.functional.one_hot(assign(scores), N_AGENTS).double()
                soft_pi = sinkhorn(scores, 300)
            for p, v in zip(generator.parameters(), direction, strict=True):
                p.sub_(step * v)
        return hard_u, soft_u, hard_pi, soft_pi

    step = 1e-6
    u, _, pi, _ = parts(0.0)
    upper, lower = parts(step), parts(-step)
    du, dpi = (upper[1] - lower[1]) / (2 * step), (upper[3] - lower[3]) / (2 * step)
    m = torch.ones(N_AGENTS, N_AGENTS, dtype=torch.float64).triu(1)
    if form["dag__edge_index"] == "rank":
        change = dpi.mT @ (u * m) @ pi + pi.mT @ (du * m) @ pi + pi.mT @ (u * m) @ dpi
    else:
        change = du * (pi.mT @ m @ pi) + u * (dpi.mT @ m @ pi + pi.mT @ m @ dpi)
    assert analytic.item() == pytest.approx((weight * change).sum().item(), rel=1e-5)


def test_plackett_luce_orders_have_the_probabilities_of_drawing_without_replacement():
    """log_prob over all orders: sums to 1, is the slow product of softmaxes, and is what sorting noisy scores draws."""
    rng = torch.Generator().manual_seed(0)
    module = PlackettLuceOrders(4, (1, 3), 8)
    context = torch.randn(1, 1, 3, generator=rng)
    with torch.no_grad():
        module.scores.net[-1].weight.mul_(5)  # away from uniform
        scores = module.scores(context)[0].double()
        every = torch.tensor(list(itertools.permutations(range(4))))  # [24, N]
        probability = plackett_luce_log_prob(scores.expand(24, -1), every).exp()
        drawn = module(context.expand(50_000, -1, -1), module.draw_noise(50_000, 1.0, rng), 1.0, None)
    slow = torch.tensor(
        [np.prod([float(scores[order[k:]].softmax(0)[0]) for k in range(4)]) for order in every], dtype=torch.float64
    )
    torch.testing.assert_close(probability, slow)
    assert probability.sum().item() == pytest.approx(1.0)
    assert probability.max() > 3 / 24, "far from uniform"
    base = torch.tensor([64, 16, 4, 1])
    counts = torch.bincount((drawn.order * base).sum(-1), minlength=256)[(every * base).sum(-1)]
    assert chisquare(counts.numpy(), (probability * 50_000).numpy()).pvalue > 1e-4
    assert torch.equal(module(context, None, 1.0, None).order[0], every[probability.argmax()]), "zero noise is the mode"


def test_plackett_luce_gradient_agrees_with_finite_differences():
    scores = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    order = torch.stack([torch.randperm(5) for _ in range(3)])
    assert torch.autograd.gradcheck(lambda s: plackett_luce_log_prob(s, order), scores)


def test_a_recorded_order_is_kept_as_an_action_is():
    generator = build("learned", {"dag__permutation": "plackett_luce"})
    context = torch.randn(50, *PARTS)
    order = torch.rand(50, N_AGENTS).argsort(-1)
    dag = generator(context, None, recorded_order=order)
    assert torch.equal(dag.order, order)
    torch.testing.assert_close(dag.order_log_prob, plackett_luce_log_prob(generator.orders.scores(context), order))


def every_edge_set(n_agents: int) -> torch.Tensor:
    """All sets of edges among the pairs j < i, [2^(N(N-1)/2), N, N] bool."""
    pairs = list(itertools.combinations(range(n_agents), 2))
    edges = torch.zeros(2 ** len(pairs), n_agents, n_agents, dtype=torch.bool)
    for row, chosen in zip(edges, itertools.product((False, True), repeat=len(pairs)), strict=True):
        for (parent, child), is_there in zip(pairs, chosen, strict=True):
            row[parent, child] = is_there
    return edges


def test_bernoulli_edges_have_the_probabilities_and_the_entropy_of_an_enumeration():
    logits = torch.randn(3, 3, dtype=torch.float64)
    edges = every_edge_set(3)  # [8, 3, 3]
    allowed = torch.ones(3, 3, dtype=torch.float64).triu(1)
    chosen = bernoulli_edges(logits.expand(len(edges), -1, -1), edges, allowed)
    probability = chosen.log_prob.sum(-1).exp()  # [8]
    p = torch.sigmoid(logits)
    slow = [
        np.prod([(p[j, i] if row[j, i] else 1 - p[j, i]).item() for j in range(3) for i in range(j + 1, 3)])
        for row in edges
    ]
    np.testing.assert_allclose(probability.numpy(), slow, rtol=1e-12)
    assert probability.sum().item() == pytest.approx(1.0)
    entropy = -(probability * probability.log()).sum()
    assert chosen.entropy[0].sum().item() == pytest.approx(entropy.item())
    expected = (probability[:, None, None] * edges).sum(0)
    torch.testing.assert_close(chosen.probability[0], expected)


def test_the_score_of_bernoulli_edges_is_the_gradient_of_an_expected_reward():
    edges, allowed = every_edge_set(3), torch.ones(3, 3, dtype=torch.float64).triu(1)
    reward = torch.randn(len(edges), dtype=torch.float64)

    def expected_reward(logits: torch.Tensor) -> torch.Tensor:
        return (
            bernoulli_edges(logits.expand(len(edges), -1, -1), edges, allowed).log_prob.sum(-1).exp() * reward
        ).sum()

    logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    log_prob = bernoulli_edges(logits.expand(len(edges), -1, -1), edges, allowed).log_prob.sum(-1)
    (log_prob * (log_prob.detach().exp() * reward)).sum().backward()  # E[r grad log P]
    for j, i in itertools.combinations(range(3), 2):
        step = torch.zeros(3, 3, dtype=torch.float64)
        step[j, i] = 1e-5
        slope = (expected_reward(logits.detach() + step) - expected_reward(logits.detach() - step)) / 2e-5
        assert logits.grad[j, i].item() == pytest.approx(slope.item(), rel=1e-6, abs=1e-9)


def test_recorded_edges_are_kept_as_an_action_is():
    generator = build("learned", {"dag__edges": "bernoulli", "dag__permutation": "identity"})
    context, edges = torch.randn(50, *PARTS), torch.rand(50, N_AGENTS, N_AGENTS) < 0.5
    dag = generator(context, None, recorded_edges=edges)
    assert torch.equal(dag.adjacency.bool(), edges & torch.ones(N_AGENTS, N_AGENTS).triu(1).bool())
    assert not dag.adjacency.requires_grad and dag.edge_actions.log_prob.requires_grad


@pytest.mark.parametrize(("key", "value"), [("edge_index", "rank"), ("permutation", "gumbel_sinkhorn")])
def test_bernoulli_edges_refuse_what_needs_their_gradient(key, value):
    with pytest.raises(ConfigError, match=rf"dag\.{key}={value}"):
        build("learned", {"dag__edges": "bernoulli", f"dag__{key}": value})


def test_noise_reaches_edges_and_order():
    generator = build("learned", {"dag__permutation": "gumbel_sinkhorn"})
    rng, context = torch.Generator().manual_seed(0), torch.zeros(400, *PARTS)
    for scale, varies in ((NoiseScale(1.0, 0.0), (True, False)), (NoiseScale(0.0, 1.0), (False, True))):
        noise = generator.draw_noise(400, scale, rng)
        assert tuple(bool(noise[f"dag_{name}_noise"].std() > 0.5) for name in ("edge", "order")) == varies
    orders = generator(context, generator.draw_noise(400, NoiseScale(0.0, 1.0), rng)).order
    assert len({tuple(order) for order in orders.tolist()}) > 50

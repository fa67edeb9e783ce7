"""Who sees whose action first: one class for every way to come by a DAG, each a function of context and noise."""

from abc import abstractmethod
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, Float, Fraction, NoOptions, options
from bn_mappo.core.registry import Registry
from bn_mappo.core.specs import EntityGroup, EnvInfo
from bn_mappo.modules.dag.edges import EdgeActions, bernoulli_edges, logistic_noise, straight_through_edges
from bn_mappo.modules.dag.nets import EdgeNet, PairNet
from bn_mappo.modules.dag.ops import depth, precedence
from bn_mappo.modules.dag.permutation import OrderModule, PlackettLuceOrders, SinkhornOrders

Noise = dict[str, Tensor]
ContextShape = tuple[int, int]  # parts and width of the context: N observations, or one state


REGISTRY: Registry = Registry("dag.generator")


class DAG(NamedTuple):
    """A batch of DAGs."""

    adjacency: Tensor  # [M, N, N]; [j, i] == 1: j is a parent of i. Carries the gradient of the DAG networks
    order: Tensor  # [M, N]; order[m, k] is the agent that acts k-th: parents come first
    order_log_prob: Tensor | None = None  # [M], where the order is an action of the policy; with its gradient
    edge_actions: EdgeActions | None = None  # where the edges are actions of the policy; with its gradient
    penalty: Tensor | None = None  # [M] that learning adds to its loss; with its gradient


class NoiseScale(NamedTuple):
    """How much noise the exploring policy puts into its DAGs."""

    edges: float
    order: float


SCALES = ("temperature", "edge_noise", "order_noise")


class DAGGenerator(nn.Module):
    """DAG = generator(context, noise). Draws its noise apart, so that a recorded one can be replayed.

    An entry of the registry is a subclass, made as cls(options, n_agents, context_shape, hidden_dim), or by its own
    `for_team`; the fields of its class `Options` are keys of the section `dag`.
    """

    Options: ClassVar[type] = NoOptions
    is_empty = False  # True: no DAG of this generator has an edge
    records_order = False  # True: rebuilding a DAG needs the order that was acted in, or is quicker with it
    order_is_action = False  # True: the order has a probability, and is learned by policy gradient
    edges_are_actions = False  # True: so have the edges; then `forward` takes `recorded_edges` too
    is_random = False  # True: its noise is the policy, in greedy evaluation too; else zero noise is its mode
    uses = frozenset(SCALES)  # which of these keys of the section `dag` it depends on

    @classmethod
    def for_team(cls, options: Any, info: EnvInfo, context_shape: ContextShape, hidden_dim: int) -> "DAGGenerator":
        """The generator for an environment; a subclass that needs more of it than the number of agents overrides it."""
        make: Any = cls
        made: DAGGenerator = make(options, info.n_agents, context_shape, hidden_dim)
        return made

    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each noise of one sample; empty: the generator is deterministic."""
        return {}

    def draw_noise(self, n_samples: int, scale: NoiseScale, generator: torch.Generator) -> Noise:
        """Noise for n_samples DAGs, on the generator's device."""
        return {}

    @abstractmethod
    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        """The DAGs of context [M, K, D]; noise None is zero noise, the mode.

        `recorded_order` [M, N] is the one that was acted in; None while acting.
        """


class StaticDAG(DAGGenerator):
    """One given graph, whatever the context."""

    uses = frozenset()
    adjacency: Tensor
    order: Tensor

    def __init__(self, adjacency: Tensor):
        super().__init__()
        self.is_empty = not bool(adjacency.any())
        self.register_buffer("adjacency", adjacency.float(), persistent=False)  # [N, N]
        self.register_buffer("order", depth(adjacency).argsort(stable=True), persistent=False)  # [N]

    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        m = context.shape[0]
        return DAG(self.adjacency.expand(m, -1, -1), self.order.expand(m, -1))


@REGISTRY.register("empty", "no edges: the product policy of MAPPO")
class EmptyDAG(StaticDAG):
    """No agent has a parent."""

    def __init__(self, options: Any, n_agents: int, context_shape: ContextShape, hidden_dim: int):
        super().__init__(torch.zeros(n_agents, n_agents))


@REGISTRY.register("full", "every edge from an earlier agent to a later one: any joint policy")
class FullDAG(StaticDAG):
    """Agent i sees the actions of agents 0 to i - 1."""

    def __init__(self, options: Any, n_agents: int, context_shape: ContextShape, hidden_dim: int):
        super().__init__(torch.ones(n_agents, n_agents).triu(1))


@REGISTRY.register("line", "every agent sees the one before it: N - 1 edges")
class LineDAG(StaticDAG):
    """Agent i sees the action of agent i - 1."""

    def __init__(self, options: Any, n_agents: int, context_shape: ContextShape, hidden_dim: int):
        super().__init__(torch.diag(torch.ones(n_agents - 1), 1))


@options
class RandomOptions:
    """Keys of dag.generator=random."""

    probability: Fraction


@REGISTRY.register("random", "a random order, each edge with dag.probability")
class RandomDAG(DAGGenerator):
    """A random order, and each edge that it allows with one probability."""

    Options = RandomOptions
    is_random = True
    uses = frozenset()

    def __init__(self, options: RandomOptions, n_agents: int, context_shape: ContextShape, hidden_dim: int):
        super().__init__()
        self.n_agents = n_agents
        self.logit = float(
            torch.logit(torch.tensor(options.probability, dtype=torch.float64))
        )  # 1: infinity, all edges

    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"dag_edge_noise": (self.n_agents, self.n_agents), "dag_order_noise": (self.n_agents,)}

    def draw_noise(self, n_samples: int, scale: NoiseScale, generator: torch.Generator) -> Noise:
        edges = logistic_noise((n_samples, self.n_agents, self.n_agents), generator, generator.device)
        order = torch.rand((n_samples, self.n_agents), generator=generator, device=generator.device)
        return {"dag_edge_noise": edges, "dag_order_noise": order}

    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        if noise is None:
            raise ValueError("a random DAG has no mode: give its noise")
        order = noise["dag_order_noise"].argsort(dim=-1, stable=True)  # [M, N]
        edges = (self.logit + noise["dag_edge_noise"] > 0).float()  # [M, N, N]
        return DAG(edges * precedence(order), order)


@options
class LearnedOptions:
    """Keys of dag.generator=learned."""

    permutation: Literal["identity", "gumbel_sinkhorn", "plackett_luce"]
    edges: Literal["straight_through", "bernoulli"]
    edge_index: Literal["agent", "rank"]
    edge_net: Literal["mlp", "deep_set", "pairs"]
    edge_bias: Float
    sinkhorn_iterations: Count


@REGISTRY.register("learned", "edges and order from networks of the context")
class LearnedDAG(DAGGenerator):
    """G = U * (Pi^T M Pi): edges and order from networks of the context (paper, section 6.1).

    `edge_index: rank` gives the paper's form G = Pi^T (U * M) Pi instead. M is strictly upper triangular.
    `edges: bernoulli` makes the edges actions of the policy: recorded as such, and with a probability.
    """

    Options = LearnedOptions
    upper: Tensor

    def __init__(
        self,
        options: LearnedOptions,
        n_agents: int,
        context_shape: ContextShape,
        hidden_dim: int,
        allies: EntityGroup | None = None,
    ):
        """`allies`: what observations show of the other agents; edge_net=pairs needs it."""
        super().__init__()
        self.n_agents = n_agents
        self.edges_by_rank = options.edge_index == "rank"
        self.edges_are_actions = options.edges == "bernoulli"
        if self.edges_are_actions and (self.edges_by_rank or options.permutation == "gumbel_sinkhorn"):
            raise ConfigError(
                "dag.edges=bernoulli goes with dag.edge_index=agent and dag.permutation=identity or plackett_luce, "
                f"not with {'dag.edge_index=rank' if self.edges_by_rank else 'dag.permutation=gumbel_sinkhorn'}: a "
                "relaxed order needs edges with a gradient"
            )
        self.edge_net: nn.Module
        if options.edge_net == "pairs":
            if allies is None or context_shape[0] != n_agents:
                raise ConfigError(
                    "dag.edge_net=pairs needs dag.context=obs and an environment that declares which entries of an "
                    "observation tell of which ally (EnvInfo.entities), as skirmish and sc2 do: choose mlp or deep_set"
                )
            self.edge_net = PairNet(n_agents, context_shape[1], allies, hidden_dim, options.edge_bias)
        else:
            self.edge_net = EdgeNet(n_agents, context_shape, hidden_dim, options.edge_net, options.edge_bias)
        self.orders: OrderModule | None = None  # the order 1..N
        if options.permutation == "gumbel_sinkhorn":
            self.orders = SinkhornOrders(n_agents, context_shape, hidden_dim, options.sinkhorn_iterations)
        elif options.permutation == "plackett_luce":
            self.orders = PlackettLuceOrders(n_agents, context_shape, hidden_dim)
        is_relaxed = options.permutation == "gumbel_sinkhorn"
        of_edges = {"edge_noise"} if self.edges_are_actions else {"edge_noise", "temperature"}
        self.uses = frozenset(of_edges | ({"order_noise", "temperature"} if is_relaxed else set()))
        self.records_order = self.orders is not None
        self.order_is_action = self.orders is not None and self.orders.is_action
        self.register_buffer("upper", torch.ones(n_agents, n_agents).triu(1), persistent=False)  # [N, N]

    @classmethod
    def for_team(
        cls, options: LearnedOptions, info: EnvInfo, context_shape: ContextShape, hidden_dim: int
    ) -> "LearnedDAG":
        allies = next((group for group in info.entities if group.are_agents), None)
        return cls(options, info.n_agents, context_shape, hidden_dim, allies)

    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        of_order = {"dag_order_noise": self.orders.noise_shape()} if self.orders else {}
        return {"dag_edge_noise": (self.n_agents, self.n_agents), **of_order}

    def draw_noise(self, n_samples: int, scale: NoiseScale, generator: torch.Generator) -> Noise:
        shape = (n_samples, self.n_agents, self.n_agents)
        noise = {"dag_edge_noise": scale.edges * logistic_noise(shape, generator, generator.device)}
        if self.orders:
            noise["dag_order_noise"] = self.orders.draw_noise(n_samples, scale.order, generator)
        return noise

    def forward(
        self,
        context: Tensor,
        noise: Noise | None,
        temperature: float = 1.0,
        recorded_order: Tensor | None = None,
        recorded_edges: Tensor | None = None,
    ) -> DAG:
        logits = self.edge_net(context)  # [M, N, N]
        edge_noise = noise["dag_edge_noise"] if noise else torch.zeros_like(logits)  # [M, N, N]
        order = torch.arange(self.n_agents, device=context.device).expand(context.shape[0], -1)  # [M, N]
        pi = log_prob = None
        allowed = self.upper  # [N, N]
        if self.orders is not None:
            order_noise = noise["dag_order_noise"] if noise else None
            order, pi, log_prob = self.orders(context, order_noise, temperature, recorded_order)
            allowed = pi.mT @ (self.upper @ pi)  # [M, N, N]
        if self.edges_are_actions:
            drawn = logits + edge_noise > 0 if recorded_edges is None else recorded_edges  # [M, N, N]
            return DAG(drawn * allowed, order, log_prob, bernoulli_edges(logits, drawn, allowed))
        edges = straight_through_edges(logits, edge_noise, temperature)  # [M, N, N]
        if pi is not None and self.edges_by_rank:
            return DAG(pi.mT @ (edges * self.upper) @ pi, order, log_prob)
        return DAG(edges * allowed, order, log_prob)


@options
class FixedOptions:
    """Keys of dag.generator=fixed."""

    adjacency: list[list[Literal[0, 1]]] | None


@REGISTRY.register("fixed", "the graph given as dag.adjacency")
class FixedDAG(StaticDAG):
    """The configured graph."""

    Options = FixedOptions

    def __init__(self, options: FixedOptions, n_agents: int, context_shape: ContextShape, hidden_dim: int):
        super().__init__(fixed_adjacency(options.adjacency, n_agents))


def fixed_adjacency(rows: Sequence[Sequence[int]] | None, n_agents: int) -> Tensor:
    """The configured graph [N, N], checked: N x N, acyclic."""
    if rows is None:
        raise ConfigError("dag.generator=fixed needs dag.adjacency, N lists of N zeros and ones")
    if len(rows) != n_agents or any(len(row) != n_agents for row in rows):
        sizes = f"{len(rows)} rows of {sorted({len(row) for row in rows})} entries"
        raise ConfigError(
            f"dag.adjacency has {sizes}; this environment has {n_agents} agents and needs {n_agents} x {n_agents}"
        )
    parents = {child: [parent for parent in range(n_agents) if rows[parent][child]] for child in range(n_agents)}
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        cycle = " -> ".join(str(agent) for agent in error.args[1])
        raise ConfigError(
            f"dag.adjacency has the cycle {cycle}; adjacency[j][i] = 1 makes j a parent of i, "
            "and no agent may wait for itself"
        ) from None
    return torch.tensor(rows)

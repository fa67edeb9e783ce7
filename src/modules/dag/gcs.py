"""A graph of any edges that is drawn to be acyclic by a penalty, and cut where it is not (GCS)."""

from typing import Literal

import torch
from torch import Tensor, nn

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, Float, NonNegative, options
from bn_mappo.core.specs import EntityGroup, EnvInfo
from bn_mappo.modules.dag.edges import bernoulli_edges, logistic_noise
from bn_mappo.modules.dag.generators import DAG, REGISTRY, ContextShape, DAGGenerator, Noise, NoiseScale
from bn_mappo.modules.dag.nets import EdgeNet, PairNet
from bn_mappo.modules.dag.ops import precedence


@options
class GCSOptions:
    """Keys of dag.generator=gcs."""

    edge_net: Literal["mlp", "deep_set", "pairs"]
    edge_bias: Float
    acyclicity_coef: NonNegative
    depth_coef: NonNegative
    max_depth: Count


@REGISTRY.register("gcs", "edges between any two agents, drawn to have no cycle by a penalty (GCS)")
class GCSDAG(DAGGenerator):
    """Edges of all ordered pairs are actions of the policy, with probabilities P[j, i] from a network of the context.

    Learned by policy gradient, with the penalty c h(P) + d w(P): h is 0 iff the edges of positive probability have no
    cycle, and w is 0 iff no path of theirs is longer than max_depth (Ruan et al. 2022; h is that of Zheng et al. 2018).
    What is drawn may have cycles until then. They are cut by a rule: agents act in the order of `acting_order`, and
    edges against this order are left out. The probability of an action is that of the graph as drawn.
    """

    Options = GCSOptions
    records_order = True  # it follows from the recorded edges, in N rounds
    edges_are_actions = True
    uses = frozenset({"edge_noise"})  # which has to be 1
    others: Tensor

    def __init__(
        self,
        options: GCSOptions,
        n_agents: int,
        context_shape: ContextShape,
        hidden_dim: int,
        allies: EntityGroup | None = None,
    ):
        """`allies`: what observations show of the other agents; edge_net=pairs needs it."""
        super().__init__()
        self.options, self.n_agents = options, n_agents
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
        self.register_buffer("others", 1 - torch.eye(n_agents), persistent=False)  # [N, N]

    @classmethod
    def for_team(cls, options: GCSOptions, info: EnvInfo, context_shape: ContextShape, hidden_dim: int) -> "GCSDAG":
        allies = next((group for group in info.entities if group.are_agents), None)
        return cls(options, info.n_agents, context_shape, hidden_dim, allies)

    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"dag_edge_noise": (self.n_agents, self.n_agents)}

    def draw_noise(self, n_samples: int, scale: NoiseScale, generator: torch.Generator) -> Noise:
        shape = (n_samples, self.n_agents, self.n_agents)
        return {"dag_edge_noise": scale.edges * logistic_noise(shape, generator, generator.device)}

    def forward(
        self,
        context: Tensor,
        noise: Noise | None,
        temperature: float = 1.0,
        recorded_order: Tensor | None = None,
        recorded_edges: Tensor | None = None,
    ) -> DAG:
        logits = self.edge_net(context)  # [M, N, N]
        edge_noise = noise["dag_edge_noise"] if noise else torch.zeros_like(logits)
        drawn = logits + edge_noise > 0 if recorded_edges is None else recorded_edges  # [M, N, N]
        graph = drawn * self.others  # [M, N, N]
        order = acting_order(graph) if recorded_order is None else recorded_order  # [M, N]
        actions = bernoulli_edges(logits, drawn, self.others)
        return DAG(graph * precedence(order), order, None, actions, self.penalty(actions.probability))

    def penalty(self, probability: Tensor) -> Tensor:
        """c h(P) + d w(P) of probabilities [M, N, N], [M]."""
        options = self.options
        penalty = options.acyclicity_coef * cyclicity(probability)
        if options.depth_coef:
            penalty = penalty + options.depth_coef * long_walks(probability, options.max_depth)
        return penalty


def acting_order(graph: Tensor) -> Tensor:
    """An order [..., N] of the agents of a graph [..., N, N]: in turn the one with the fewest parents left, of equals
    the lowest number. Parents come before children wherever the graph has no cycle."""
    n_agents = graph.shape[-1]
    left = torch.ones_like(graph[..., 0])  # [..., N]
    order = []
    for _ in range(n_agents):
        n_parents = (graph * left.unsqueeze(-1)).sum(-2)  # [..., N]
        agent = n_parents.masked_fill(left == 0, n_agents).argmin(-1, keepdim=True)  # [..., 1]
        order.append(agent)
        left = left.scatter(-1, agent, 0.0)
    return torch.cat(order, dim=-1)


def cyclicity(weights: Tensor) -> Tensor:
    """h(W) = tr exp(W * W) - N of weights [..., N, N], [...]: 0 iff they have no cycle (Zheng et al. 2018)."""
    squared = torch.linalg.matrix_exp(weights.square())
    return squared.diagonal(dim1=-2, dim2=-1).sum(-1) - weights.shape[-1]


def long_walks(weights: Tensor, max_depth: int) -> Tensor:
    """w(W) = 1^T (W * W)^(max_depth + 1) 1, [...]: 0 iff no path of positive weights has more than max_depth edges."""
    return torch.linalg.matrix_power(weights.square(), max_depth + 1).sum((-2, -1))

"""A DAG that nobody learns: edges between the agents that are nearest to each other, up to a number of edges."""

import torch
from torch import Tensor

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, options
from bn_mappo.core.specs import EntityGroup, EnvInfo
from bn_mappo.modules.dag.generators import DAG, REGISTRY, ContextShape, DAGGenerator, Noise


@options
class DistanceOptions:
    """Keys of dag.generator=distance."""

    n_edges: Count


@REGISTRY.register("distance", "edges between the nearest agents that see each other, dag.n_edges at most")
class DistanceDAG(DAGGenerator):
    """Of all pairs (j, i) with j < i of which i sees j, the n_edges with the smallest distance become edges j -> i.

    Agents act in the order 1..N. Sight and distance are those that agent i itself observes, so no agent needs the
    position of another one; which pairs are the nearest of all needs the joint observation, as a learned DAG does. Of
    equal distances the pair with the lower child, then the lower parent, comes first. It has nothing to learn.
    """

    Options = DistanceOptions
    parent: Tensor
    child: Tensor
    entries: Tensor

    def __init__(self, n_edges: int, n_agents: int, allies: EntityGroup):
        super().__init__()
        if allies.seen is None or allies.distance is None:
            raise ConfigError(f"dag.generator=distance: the environment does not tell distances of its {allies.name}")
        self.n_edges, self.n_agents = n_edges, n_agents
        child, parent = torch.tril_indices(n_agents, n_agents, -1)  # [P] each: all pairs with parent < child
        first = allies.start + parent * allies.width  # [P]; a lower number has the same slot for every child
        self.register_buffer("parent", parent, persistent=False)
        self.register_buffer("child", child, persistent=False)
        self.register_buffer("entries", torch.stack([first + allies.seen, first + allies.distance]), persistent=False)

    @classmethod
    def for_team(
        cls, options: DistanceOptions, info: EnvInfo, context_shape: ContextShape, hidden_dim: int
    ) -> "DistanceDAG":
        allies = next((group for group in info.entities if group.are_agents), None)
        if allies is None:
            raise ConfigError(
                "dag.generator=distance needs an environment that declares which entries of an observation tell of "
                "which ally (EnvInfo.entities), as skirmish and sc2 do: choose another dag.generator"
            )
        if context_shape != (info.n_agents, info.obs_dim):
            raise ConfigError("dag.generator=distance reads distances from observations: set dag.context=obs")
        return cls(options.n_edges, info.n_agents, allies)

    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        seen, distance = (context[:, self.child, entry] for entry in self.entries)  # [M, P] each
        key = distance.masked_fill(seen <= 0, torch.inf)  # [M, P]
        nearest = key.argsort(dim=-1, stable=True)[:, : self.n_edges]  # [M, E]
        is_edge = key.gather(-1, nearest).isfinite().to(context.dtype)  # [M, E]
        chosen = torch.zeros_like(key).scatter(-1, nearest, is_edge)  # [M, P]
        adjacency = context.new_zeros(context.shape[0], self.n_agents, self.n_agents)  # [M, N, N]
        adjacency[:, self.parent, self.child] = chosen
        order = torch.arange(self.n_agents, device=context.device)  # [N]
        return DAG(adjacency, order.expand(context.shape[0], -1))

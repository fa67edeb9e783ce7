"""DAGs that nobody learns: between the agents that are nearest to each other, up to a number of edges."""

import torch
from torch import Tensor

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, options
from bn_mappo.core.specs import EntityGroup, EnvInfo
from bn_mappo.modules.dag.generators import DAG, REGISTRY, ContextShape, DAGGenerator, Noise


@options
class DistanceOptions:
    """Keys of dag.generator=distance and subteams."""

    n_edges: Count


@REGISTRY.register("distance", "edges between the nearest agents that see each other, dag.n_edges at most")
class DistanceDAG(DAGGenerator):
    """Of all pairs (j, i) with j < i of which i sees j, the n_edges with the smallest distance become edges j -> i.

    Agents act in the order 1..N. Sight and distance are those that agent i itself observes, so no agent needs the
    position of another one; which pairs are the nearest of all needs the joint observation, as a learned DAG does. Of
    equal distances the pair with the lower child, then the lower parent, comes first. It has nothing to learn.
    """

    Options = DistanceOptions
    uses = frozenset()
    parent: Tensor
    child: Tensor
    entries: Tensor

    def __init__(self, n_edges: int, n_agents: int, allies: EntityGroup):
        super().__init__()
        if allies.seen is None or allies.distance is None:
            raise ConfigError(
                f"dag.generator=distance and subteams: the environment does not tell distances of its {allies.name}"
            )
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
                "dag.generator=distance and subteams need an environment that declares which entries of an observation "
                "tell of which ally (EnvInfo.entities), as skirmish and sc2 do: choose another dag.generator"
            )
        if context_shape != (info.n_agents, info.obs_dim):
            raise ConfigError(
                "dag.generator=distance and subteams read distances from observations: set dag.context=obs"
            )
        return cls(options.n_edges, info.n_agents, allies)

    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        seen, distance = (context[:, self.child, entry] for entry in self.entries)  # [M, P] each
        chosen = self.choose(distance.masked_fill(seen <= 0, torch.inf))  # [M, P]
        adjacency = context.new_zeros(context.shape[0], self.n_agents, self.n_agents)  # [M, N, N]
        adjacency[:, self.parent, self.child] = chosen
        order = torch.arange(self.n_agents, device=context.device)  # [N]
        return DAG(adjacency, order.expand(context.shape[0], -1))

    def choose(self, distance: Tensor) -> Tensor:
        """Which pairs are edges [M, P], 1 or 0, from distances [M, P]; infinity where the child does not see."""
        nearest = distance.argsort(dim=-1, stable=True)[:, : self.n_edges]  # [M, E]
        is_edge = distance.gather(-1, nearest).isfinite().to(distance.dtype)  # [M, E]
        return torch.zeros_like(distance).scatter(-1, nearest, is_edge)


@REGISTRY.register("subteams", "cliques of agents that are near each other, dag.n_edges at most in all")
class SubteamsDAG(DistanceDAG):
    """Subteams: within one, agents act along a full chain in the order 1..N; between two there is no edge.

    Built greedily, as by single linkage: of all pairs of agents in two subteams the nearest one that sees joins its two
    subteams, if the edges that this adds, the product of their sizes, are left of n_edges. A pair that does not fit now
    never fits later, because subteams grow and what is left shrinks. Joined agents need not all see each other: it is
    messages along edges that they exchange, not sight.
    """

    def choose(self, distance: Tensor) -> Tensor:
        n_steps, agents = len(distance), torch.arange(self.n_agents, device=distance.device)
        subteam = agents.expand(n_steps, -1).clone()  # [M, N]: the lowest number in the agent's subteam
        left = torch.full((n_steps, 1), self.n_edges, device=distance.device)  # [M, 1]
        for _ in range(self.n_agents - 1):  # each round joins two subteams, or changes nothing
            size = torch.zeros_like(subteam).scatter_add(1, subteam, torch.ones_like(subteam)).gather(1, subteam)
            added = size[:, self.parent] * size[:, self.child]  # [M, P]
            fits = (subteam[:, self.parent] != subteam[:, self.child]) & (added <= left)  # [M, P]
            nearest = distance.masked_fill(~fits, torch.inf).min(dim=-1, keepdim=True)  # of [M, 1]
            joins = nearest.values.isfinite()  # [M, 1]
            of_parent, of_child = (subteam.gather(1, side[nearest.indices]) for side in (self.parent, self.child))
            moves = joins & ((subteam == of_parent) | (subteam == of_child))  # [M, N]
            subteam = torch.where(moves, torch.minimum(of_parent, of_child), subteam)
            left = left - added.gather(1, nearest.indices) * joins
        return (subteam[:, self.parent] == subteam[:, self.child]).to(distance.dtype)

"""What can be said of a batch of DAGs: pure functions of the adjacency.

Throughout the project adjacency[b, j, i] == 1 iff j is a parent of i (row = parent, column = child).
"""

import torch
from torch import Tensor


def density(adjacency: Tensor) -> Tensor:
    """rho(G) = 2 / (N (N - 1)) * sum_ij G[j, i], the share of the edges that a DAG can have (paper, section 6.3).

    adjacency [..., N, N] -> [...]; a single agent has density 0.
    """
    n_agents = adjacency.shape[-1]
    return adjacency.sum((-2, -1)) * (2 / max(n_agents * (n_agents - 1), 1))


def depth(adjacency: Tensor) -> Tensor:
    """Edges on the longest path that ends in each agent, [..., N] (int64): agents of one depth can act together.

    adjacency [..., N, N], acyclic. Raises ValueError on a cycle.
    """
    n_agents = adjacency.shape[-1]
    edges = adjacency.detach() > 0  # [..., N, N]
    depths = torch.zeros(adjacency.shape[:-1], dtype=torch.long, device=adjacency.device)  # [..., N]
    for _ in range(n_agents):
        longer = ((depths + 1).unsqueeze(-1) * edges).amax(-2)  # [..., N]: one more than the deepest parent
        if torch.equal(longer, depths):
            return depths
        depths = longer
    raise ValueError("the graph has a cycle")


def is_acyclic(adjacency: Tensor) -> Tensor:
    """Whether each graph [..., N, N] has no cycle, as [...] (bool).

    A graph is acyclic iff its adjacency is nilpotent: no walk has N edges.
    """
    walks = edges = (adjacency.detach() > 0).float()  # [..., N, N]
    for _ in range(adjacency.shape[-1] - 1):
        walks = (walks @ edges).clamp(max=1.0)  # [..., N, N]: 1 iff a walk of that many edges exists
    return walks.sum((-2, -1)) == 0


def precedence(order: Tensor) -> Tensor:
    """Pi^T M Pi for a hard order: [..., N, N] with a 1 at [j, i] iff j acts before i.

    order [..., N]: order[..., k] is the agent that acts k-th.
    """
    rank = order.argsort(-1)  # [..., N]
    return (rank.unsqueeze(-1) < rank.unsqueeze(-2)).float()


def communication(adjacency: Tensor, message_bytes: int) -> tuple[Tensor, Tensor]:
    """Messages and bytes of a step, [...] each: every edge carries one message from parent to child."""
    messages = adjacency.detach().sum((-2, -1))
    return messages, messages * message_bytes

"""Which pairs of agents have a payoff."""

from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

Topology = Literal["full", "line", "cycle", "star"]


def edges_of(topology: Topology, n_agents: int) -> Tensor:
    """The edges [2, E] of an undirected graph, lower number first: all pairs; 1-2-...-N; that closed; 1 with all."""
    if topology == "full":
        pairs = list(combinations(range(n_agents), 2))
    elif topology == "star":
        pairs = [(0, i) for i in range(1, n_agents)]
    else:
        pairs = [(i, i + 1) for i in range(n_agents - 1)]
        if topology == "cycle" and n_agents > 2:
            pairs.append((0, n_agents - 1))
    return torch.tensor(pairs, dtype=torch.int64).view(-1, 2).T.contiguous()

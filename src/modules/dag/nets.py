"""The networks that read the context: edge logits and permutation logits (paper, table 2)."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with a ReLU between each two, in torch's default initialisation."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class EdgeNet(nn.Module):
    """Edge logits of every ordered pair from the context, [M, K, D] -> [M, N, N].

    The context has K parts: the agents' observations (K = N), or the state (K = 1). Two outputs a pair, edge and no
    edge, of which only the difference counts. `deep_set` encodes each part and averages; `mlp` reads them side by side.
    """

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int, kind: str, bias: float):
        super().__init__()
        self.n_agents, self.is_deep_set, self.bias = n_agents, kind == "deep_set", bias
        n_parts, part_dim = context_shape
        outputs = 2 * n_agents * n_agents
        if self.is_deep_set:
            self.encoder = mlp([part_dim, hidden_dim, hidden_dim, hidden_dim])
            self.decoder = mlp([hidden_dim, hidden_dim, outputs])
        else:
            self.decoder = mlp([n_parts * part_dim, hidden_dim, outputs])

    def forward(self, context: Tensor) -> Tensor:
        code = self.encoder(context).mean(-2) if self.is_deep_set else context.flatten(-2)
        logits = self.decoder(code).unflatten(-1, (self.n_agents, self.n_agents, 2))  # [M, N, N, 2]
        return logits[..., 0] - logits[..., 1] + self.bias


class ScoreNet(nn.Module):
    """Score of each agent from the context, [M, K, D] -> [M, N]: who has a high one probably acts early."""

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int):
        super().__init__()
        self.net = mlp([context_shape[0] * context_shape[1], hidden_dim, n_agents])

    def forward(self, context: Tensor) -> Tensor:
        scores: Tensor = self.net(context.flatten(-2))
        return scores


class PermutationNet(nn.Module):
    """Log scores of agent i at rank k from the context, [M, K, D] -> [M, N, N] (rank, agent)."""

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int):
        super().__init__()
        self.n_agents = n_agents
        self.net = mlp([context_shape[0] * context_shape[1], hidden_dim, n_agents * n_agents])

    def forward(self, context: Tensor) -> Tensor:
        logits = self.net(context.flatten(-2)).unflatten(-1, (self.n_agents, self.n_agents))  # [M, N, N]
        return torch.nn.functional.logsigmoid(logits)

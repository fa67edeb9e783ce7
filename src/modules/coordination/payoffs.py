"""Payoffs of pairs of actions: one network for all pairs of agents, of low rank."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.modules.layers import AgentLinear


class Payoffs(NamedTuple):
    """f_e(a, b) = sum_r left_e[r, a] right_e[r, b], for the action a of an edge's first and b of its second agent."""

    left: Tensor  # [M, E, R, A]
    right: Tensor  # [M, E, R, A]

    def tables(self) -> Tensor:
        """All of them, [M, E, A, A]."""
        return self.left.mT @ self.right

    def of_actions(self, first: Tensor, second: Tensor) -> Tensor:
        """Those of the actions [M, E] of both agents of each edge, [M, E]; no table is made."""
        taken = [
            factor.gather(-1, action[..., None, None].expand(-1, -1, factor.shape[-2], 1)).squeeze(-1)  # [M, E, R]
            for factor, action in ((self.left, first), (self.right, second))
        ]
        return (taken[0] * taken[1]).sum(-1)


class PayoffNet(nn.Module):
    """f(x_i, x_j) as the mean of g(x_i, x_j) and of g(x_j, x_i) transposed, so that no agent of a pair is the first.

    g = ReLU FC(x_i, x_j) and one FC that gives `rank` factors for the actions of each of the two (Böhmer et al. 2020,
    equations 5 and 9). The weights are shared by all pairs.
    """

    def __init__(self, n_inputs: int, hidden_dim: int, n_actions: int, rank: int, generator: torch.Generator):
        super().__init__()
        self.shape = (2, rank, n_actions)
        self.of_first = AgentLinear(1, n_inputs, hidden_dim, generator)
        self.of_second = AgentLinear(1, n_inputs, hidden_dim, generator, bias=False)
        self.head = AgentLinear(1, hidden_dim, 2 * rank * n_actions, generator, gain=1.0)

    def forward(self, inputs: Tensor, edges: Tensor) -> Payoffs:
        """inputs [N, M, D] of all agents, edges [2, E] -> the payoffs of the edges, of rank 2 `rank`."""
        first, second = (layer(inputs).transpose(0, 1) for layer in (self.of_first, self.of_second))  # [M, N, H]
        i, j = edges
        pairs = torch.stack([first[:, i] + second[:, j], first[:, j] + second[:, i]])  # [2, M, E, H]
        factors = self.head(torch.relu(pairs)).unflatten(-1, self.shape)  # [2, M, E, 2, R, A]
        (forth, back) = factors
        left = torch.cat([forth[..., 0, :, :], back[..., 1, :, :]], dim=-2)  # [M, E, 2 R, A]
        right = torch.cat([forth[..., 1, :, :], back[..., 0, :, :]], dim=-2)
        return Payoffs(0.5 * left, right)

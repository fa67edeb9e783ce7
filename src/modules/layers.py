"""Linear layers with one set of weights for all agents, or one set each."""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

RELU_GAIN = sqrt(2)
OUTPUT_GAIN = 0.01  # small first outputs: a nearly uniform policy


class AgentLinear(nn.Module):
    """y = W_i x + b_i for each agent i, with `groups` sets of weights: 1 (shared by all agents) or N.

    Agents come first in its tensors, so that each one's rows lie together. Orthogonal weights, drawn from `generator`;
    zero biases.
    """

    def __init__(
        self,
        groups: int,
        inputs: int,
        outputs: int,
        generator: torch.Generator,
        gain: float = RELU_GAIN,
        bias: bool = True,
    ):
        super().__init__()
        self.groups = groups
        weight = torch.empty(groups, outputs, inputs)
        for matrix in weight:
            nn.init.orthogonal_(matrix, gain, generator=generator)
        self.weight = nn.Parameter(weight)  # [G, outputs, inputs]
        self.bias = nn.Parameter(torch.zeros(groups, outputs)) if bias else None  # [G, outputs]

    def forward(self, x: Tensor, agents: Tensor | None = None) -> Tensor:
        """x [N, M, inputs] -> [N, M, outputs]; or rows of `agents` [R]: x [R, inputs] -> [R, outputs]."""
        if self.groups == 1:
            return functional.linear(x, self.weight[0], None if self.bias is None else self.bias[0])
        if agents is not None:
            y = torch.bmm(self.weight.index_select(0, agents), x.unsqueeze(-1)).squeeze(-1)  # [R, outputs]
            return y if self.bias is None else y + self.bias.index_select(0, agents)
        if self.bias is None:
            return torch.bmm(x, self.weight.mT)  # [N, M, outputs]
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight.mT)  # [N, M, outputs]

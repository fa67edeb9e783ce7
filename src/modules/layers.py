"""Linear layers with one set of weights for all agents, or one set each."""

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

RELU_GAIN = sqrt(2)
OUTPUT_GAIN = 0.01  # small first outputs: a nearly uniform policy


class _PerAgentLinear(torch.autograd.Function):
    """y_i = x_i W_i^T for each agent i; x [N, M, inputs], W [N, outputs, inputs] -> [N, M, outputs].

    The gradient of W is taken as g^T x: with few outputs several times faster than x^T g, which autograd would choose.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.bmm(x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor]:
        (x, weight), (grad,) = ctx.saved_tensors, gradients
        of_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        return of_x, torch.bmm(grad.mT, x)


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
        y = _PerAgentLinear.apply(x, self.weight)  # [N, M, outputs]
        return y if self.bias is None else y + self.bias.unsqueeze(1)

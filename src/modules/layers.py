"""Linear layers with one set of weights for all agents, or one set each."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

RELU_GAIN = sqrt(2)
OUTPUT_GAIN = 0.01  # small initial outputs: a nearly uniform policy


class _PerAgentLinear(torch.autograd.Function):
    """y_i = x_i W_i^T + b_i for each agent i; x [N, M, inputs], W [N, outputs, inputs], b [N, outputs].

    If one side of a matrix product is narrow, one order of its factors can be six times slower than the other. `affine`
    and the gradient of W each choose the faster order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return affine(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        (x, weight), (grad,) = ctx.saved_tensors, gradients
        of_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        of_weight = torch.bmm(grad.mT, x) if is_narrow(weight) else torch.bmm(x.mT, grad).mT
        return of_x, of_weight, grad.sum(1) if ctx.has_bias else None


def is_narrow(weight: Tensor) -> bool:
    """Whether weights [..., outputs, inputs] have fewer outputs than inputs."""
    return weight.shape[-2] < weight.shape[-1]


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [G, M, inputs], weight [G, outputs, inputs], bias [G, outputs] -> [G, M, outputs]."""
    if is_narrow(weight):
        y = torch.bmm(weight, x.mT) if bias is None else torch.baddbmm(bias.unsqueeze(-1), weight, x.mT)
        return y.mT
    return torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


class AgentLinear(nn.Module):
    """y = W_i x + b_i for each agent i, with `groups` sets of weights: 1 (shared by all agents) or N.

    The agent axis comes first in its tensors, so that the rows of each agent are contiguous. The weights are
    orthogonal, drawn from `generator`; the biases are zero.
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
        if not is_narrow(weight):
            weight = weight.mT.contiguous().mT  # in memory [G, inputs, outputs]: autograd then takes the faster product
        self.weight = nn.Parameter(weight if groups > 1 else weight[0])  # [G, outputs, inputs], without G for one group
        self.bias = nn.Parameter(torch.zeros(self.weight.shape[:-1])) if bias else None  # likewise [G, outputs]

    def forward(self, x: Tensor) -> Tensor:
        """x [N, M, inputs] -> [N, M, outputs]."""
        if self.groups == 1:
            return functional.linear(x, self.weight, self.bias)
        if not torch.is_grad_enabled():
            return affine(x, self.weight, self.bias)
        y: Tensor = _PerAgentLinear.apply(x, self.weight, self.bias)
        return y

    def by_group(self) -> tuple[Tensor, Tensor]:
        """Weights [G, outputs, inputs] and biases [G, outputs], also where G is 1."""
        assert self.bias is not None
        return (self.weight, self.bias) if self.groups > 1 else (self.weight.unsqueeze(0), self.bias.unsqueeze(0))


def side_by_side(layers: Sequence[AgentLinear], parts: Sequence[Tensor], start: Tensor | None = None) -> Tensor:
    """The sum of what each layer makes of its part [R, inputs], in one product: [R, outputs]; for shared weights.

    A part may be cut in pieces that follow each other. The sum begins with `start` [R, outputs], or with the bias of
    the first layer; the others have none.
    """
    start = layers[0].bias if start is None else start
    assert start is not None, "a sum begins with something"
    return torch.addmm(start, torch.cat(tuple(parts), -1), torch.cat([layer.weight for layer in layers], 1).mT)


def one_below_the_other(layers: Sequence[AgentLinear], x: Tensor) -> Sequence[Tensor]:
    """What each layer makes of x [..., inputs], in one product: [..., outputs] each; shared weights, with biases."""
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    y = functional.linear(x, torch.cat([layer.weight for layer in layers]), torch.cat(biases))
    return y.split([len(bias) for bias in biases], -1)

"""The layers of all agents against one torch.nn.Linear an agent."""

import pytest
import torch

from bn_mappo.modules.layers import AgentLinear

N, M, INPUTS, OUTPUTS = 3, 7, 5, 2


@pytest.mark.parametrize("groups", [1, N])
@pytest.mark.parametrize("bias", [True, False])
def test_each_agent_has_its_linear_layer(groups, bias):
    rng = torch.Generator().manual_seed(0)
    layer = AgentLinear(groups, INPUTS, OUTPUTS, rng, bias=bias)
    if bias:
        torch.nn.init.normal_(layer.bias, generator=rng)
    x = torch.randn(N, M, INPUTS, generator=rng, requires_grad=True)
    weight = torch.randn(N, M, OUTPUTS, generator=rng)
    y = layer(x)
    (y * weight).sum().backward()
    gradients = [x.grad.clone(), *(p.grad.clone() for p in layer.parameters())]
    x.grad = None
    layer.zero_grad()
    expected = []
    for agent in range(N):
        group = agent if groups > 1 else ...
        row = torch.nn.functional.linear(x[agent], layer.weight[group], layer.bias[group] if bias else None)
        expected.append(row)
    torch.testing.assert_close(y, torch.stack(expected))
    (torch.stack(expected) * weight).sum().backward()
    for got, want in zip(gradients, [x.grad, *(p.grad for p in layer.parameters())], strict=True):
        torch.testing.assert_close(got, want)

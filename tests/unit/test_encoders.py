"""The agents' memory: torch's own GRU, carried through a segment and reset where an episode starts."""

import pytest
import torch

from bn_mappo.modules.agents.encoders import RNNEncoder
from bn_mappo.modules.gru import gru, gru_step

N, B, T, D, H = 3, 2, 5, 4, 6


@pytest.mark.parametrize("groups", [1, N])
@pytest.mark.parametrize("depth", [1, 2])
def test_it_is_a_gru_that_forgets_at_episode_starts(groups, depth):
    rng = torch.Generator().manual_seed(0)
    encoder = RNNEncoder(groups, D, H, depth, rng)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, generator=rng)
    obs, hidden = torch.randn(N, B * T, D, generator=rng), torch.randn(N, B, H, generator=rng)
    starts = (torch.rand(B, T, generator=rng) < 0.4).float()
    assert 0 < starts.sum() < B * T
    encoding = encoder(obs, hidden, starts)
    features = encoding.features.unflatten(1, (B, T))
    for agent in range(N):
        group = agent if groups > 1 else ...
        cell = torch.nn.GRUCell(H, H)
        with torch.no_grad():
            for mine, theirs in ((encoder.input_gates, "ih"), (encoder.hidden_gates, "hh")):
                getattr(cell, f"weight_{theirs}").copy_(mine.weight[group])
                getattr(cell, f"bias_{theirs}").copy_(mine.bias[group])
        for b in range(B):
            memory = hidden[agent, b]
            for t in range(T):
                memory = torch.zeros(H) if starts[b, t] else memory
                seen = obs.unflatten(1, (B, T))[agent, b, t] @ encoder.fc1.weight[group].mT + encoder.fc1.bias[group]
                memory = cell(torch.relu(seen)[None], memory[None])[0]
                expected = memory if depth == 2 else memory @ encoder.fc2.weight[group].mT + encoder.fc2.bias[group]
                torch.testing.assert_close(features[agent, b, t], expected, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(encoding.hidden[agent, b], memory, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("groups", [1, N])
def test_the_gradient_by_hand_is_that_of_autograd_step_by_step(groups):
    rng = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).requires_grad_()

    inputs = draw(T, groups, B, 3 * H), draw(groups, B, H), draw(groups, 3 * H, H), draw(groups, 3 * H)
    keep = (torch.rand(T, 1, B, 1, generator=rng) < 0.6).double()
    of_states = torch.randn(T, groups, B, H, generator=rng, dtype=torch.float64)
    gates, hidden, weight, bias = inputs
    ours = gru(gates, hidden, keep, weight, bias)
    states = [hidden]
    for t in range(T):
        states.append(gru_step(gates[t], states[-1] * keep[t], weight, bias))
    theirs = torch.stack(states[1:])
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(gru(gates, hidden, keep, weight, bias), theirs)
    for found, expected in zip(*(torch.autograd.grad(x, inputs, of_states) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(found, expected)

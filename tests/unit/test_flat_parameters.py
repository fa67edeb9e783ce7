"""Parameters as one vector: the same values, gradients, clipping and steps as apart."""

import copy

import pytest
import torch

from bn_mappo.learners.flat_parameters import FlatParameters, clip_gradients, flat_groups


@pytest.fixture
def networks():
    torch.manual_seed(0)
    apart = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2))
    apart[0].weight.data = apart[0].weight.data.T.contiguous().T  # inputs first in memory
    return apart, copy.deepcopy(apart)


@pytest.mark.parametrize("max_norm", [0.01, 1e6])
def test_it_clips_and_steps_as_torch_does_with_parameters_apart(networks, max_norm):
    apart, together = networks
    groups, gradient = flat_groups([together[0].parameters(), together[2].parameters()])
    optimisers = (
        torch.optim.Adam(apart.parameters(), lr=0.1, fused=True),
        torch.optim.Adam([group.vector for group in groups], lr=0.1, fused=True),
    )
    for _ in range(3):
        x = torch.randn(9, 5)
        optimisers[0].zero_grad()
        apart(x).square().sum().backward()
        expected = torch.nn.utils.clip_grad_norm_(apart.parameters(), max_norm)
        gradient.zero_()
        together(x).square().sum().backward()
        torch.testing.assert_close(clip_gradients(groups, max_norm), expected)
        for optimiser in optimisers:
            optimiser.step()
        for mine, theirs in zip(together.parameters(), apart.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad)
            torch.testing.assert_close(mine, theirs)
    assert gradient.data_ptr() == groups[0].gradient.data_ptr() and gradient.numel() == 5 * 7 + 7 + 7 * 2 + 2


def test_parameters_keep_their_values_and_layout(networks):
    apart, together = networks
    FlatParameters(together.parameters())
    for mine, theirs in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.stride() == theirs.stride()

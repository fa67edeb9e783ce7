"""Best assignments: both ways to find them, and when one that is known is kept."""

import itertools

import pytest
import torch

from bn_mappo.modules.dag.assignment import assign, is_best_order, solver


@pytest.mark.parametrize("n_agents", [1, 2, 3, 5])
def test_both_ways_to_assign_find_the_best_of_all_permutations(n_agents):
    """One by one, and with tables for all at once, as on a GPU."""
    scores = torch.randn(20, n_agents, n_agents, generator=torch.Generator().manual_seed(n_agents))
    orders = torch.tensor(list(itertools.permutations(range(n_agents))))  # [P, N]
    sums = scores[:, torch.arange(n_agents), orders].sum(-1)  # [20, P]
    best = orders[sums.argmax(-1)]  # [20, N]
    assert torch.equal(assign(scores), best)
    assert torch.equal(solver(n_agents, scores.device)(scores), best)


@pytest.mark.parametrize("n_agents", [1, 2, 5, 10])
def test_a_guess_is_kept_iff_it_is_a_best_assignment(n_agents):
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(300, n_agents, n_agents, generator=rng)
    best = assign(scores)
    assert is_best_order(scores, best).float().mean() > 0.95, "rounding may refuse a few"
    guess = best.clone()
    guess[::2] = torch.rand(150, n_agents, generator=rng).argsort(-1)
    is_same = (guess == best).all(-1)
    assert not is_best_order(scores, guess)[~is_same].any()
    assert torch.equal(assign(scores, guess), best)

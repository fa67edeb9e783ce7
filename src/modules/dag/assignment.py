"""Best assignments of agents to ranks, for M matrices of scores at once."""

from functools import cache
from itertools import combinations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

MOST_AGENTS = 12  # of BestAssignment, whose tables have 2^N rows
LOWEST = -1e30


def assign(scores: Tensor, guess: Tensor | None = None) -> Tensor:
    """The best order of each matrix of scores: argmax over permutations of sum_k scores[k, order[k]].

    scores [M, N, N] (rank, agent) -> order [M, N] (int64). Orders of `guess` [M, N] that are best are kept; only the
    others are solved. Subtracting potentials from rows and columns does not change the best assignment, so that of the
    noisy logits is that of the logarithm of their doubly-stochastic matrix.
    """
    scores = scores.detach()
    if guess is None:
        return solve(scores)
    wrong, order = (~is_best_order(scores, guess)).nonzero().flatten(), guess.clone()
    if len(wrong):
        order[wrong] = solve(scores[wrong])
    return order


def solve(scores: Tensor) -> Tensor:
    """`assign` without a guess: one by one on a CPU, and where the tables would not fit; else all at once."""
    n_agents = scores.shape[-1]
    if scores.device.type != "cpu" and n_agents <= MOST_AGENTS:
        return solver(n_agents, scores.device)(scores)
    matrices = scores.cpu().numpy()  # [M, N, N]
    orders = np.empty(matrices.shape[:2], dtype=np.int64)  # [M, N]
    for order, matrix in zip(orders, matrices, strict=True):
        order[:] = linear_sum_assignment(matrix, maximize=True)[1]
    return torch.from_numpy(orders).to(scores.device)


@cache
def solver(n_agents: int, device: torch.device) -> "BestAssignment":
    """The tables of BestAssignment, made once for each number of agents and device."""
    return BestAssignment(n_agents).to(device)


def is_best_order(scores: Tensor, order: Tensor) -> Tensor:
    """Whether no exchange of agents along a cycle of ranks improves an order: then it is a best assignment. [M] bool.

    loss[k, l] = scores[k, order[k]] - scores[k, order[l]] is lost when rank k takes the agent of rank l; an assignment
    is best iff no cycle has a negative loss (Floyd and Warshall's shortest paths, all M graphs at once).
    """
    by_rank = scores.gather(-1, order.unsqueeze(-2).expand_as(scores))  # [M, N, N]: [k, l] = scores[k, order[l]]
    loss = by_rank.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) - by_rank  # [M, N, N]
    loss = loss.permute(1, 2, 0).contiguous()  # [N, N, M]
    for k in range(loss.shape[0]):
        loss = torch.minimum(loss, loss[:, k, None] + loss[None, k])
    return (loss.diagonal() >= 0).all(-1)  # loss.diagonal() is [M, N]


class BestAssignment(nn.Module):
    """argmax over permutations of sum_k scores[k, order[k]], by dynamic programming over sets of agents.

    With f(S) the best sum of giving the first |S| ranks to the agents of S (Held and Karp 1962),

        f(S) = max_{i in S} f(S without i) + scores[|S| - 1, i],    f(empty set) = 0.
    """

    def __init__(self, n_agents: int):
        super().__init__()
        self.n_agents = n_agents
        smaller: dict[frozenset[int], int] = {frozenset(): 0}
        for size in range(1, n_agents + 1):
            sets = [frozenset(chosen) for chosen in combinations(range(n_agents), size)]
            before = [[smaller.get(chosen - {i}, 0) if i in chosen else 0 for i in range(n_agents)] for chosen in sets]
            contains = [[i in chosen for i in range(n_agents)] for chosen in sets]
            self.register_buffer(f"before_{size}", torch.tensor(before))  # [C, N]: the set without i, by its number
            self.register_buffer(f"contains_{size}", torch.tensor(contains))  # [C, N]
            smaller = {chosen: number for number, chosen in enumerate(sets)}

    def forward(self, scores: Tensor) -> Tensor:
        """scores [M, N, N] (rank, agent) -> order [M, N] (int64)."""
        scores = scores.double()
        value, choices = scores.new_zeros(scores.shape[0], 1), []  # [M, C] of sets of one size
        for rank in range(self.n_agents):
            before, contains = self.get_buffer(f"before_{rank + 1}"), self.get_buffer(f"contains_{rank + 1}")
            sums = value[:, before] + scores[:, rank].unsqueeze(1)  # [M, C, N]
            value, last = sums.masked_fill(~contains, LOWEST).max(-1)
            choices.append(last)  # [M, C]: who of each set takes this rank
        at = choices[-1].new_zeros(scores.shape[0])  # [M]: the set of all agents is the only one of its size
        order = []
        for rank in reversed(range(self.n_agents)):
            agent = choices[rank].gather(1, at.unsqueeze(1)).squeeze(1)  # [M]
            at = self.get_buffer(f"before_{rank + 1}")[at, agent]
            order.append(agent)
        return torch.stack(order[::-1], dim=-1)

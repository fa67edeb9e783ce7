"""Best assignments as operations on tensors, which a network file can hold: controllers solve them in SciPy."""

from itertools import combinations

import torch
from torch import Tensor, nn

from bn_mappo.modules.dag.permutation import OrderModule, Orders, SinkhornOrders

MOST_AGENTS = 12  # 2^N subsets
LOWEST = -1e30


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


class AssignedOrders(OrderModule):
    """The orders of greedy SinkhornOrders, by another way to the same assignment."""

    def __init__(self, orders: SinkhornOrders):
        super().__init__()
        self.n_agents, self.scores = orders.n_agents, orders.scores
        self.assign = BestAssignment(orders.n_agents)

    def noise_shape(self) -> tuple[int, ...]:
        return (self.n_agents, self.n_agents)

    def draw_noise(self, n_samples: int, scale: float, generator: torch.Generator) -> Tensor:
        return torch.zeros(n_samples, *self.noise_shape())

    def forward(self, context: Tensor, noise: Tensor | None, temperature: float, recorded: Tensor | None) -> Orders:
        order = self.assign(self.scores(context))  # [M, N]
        return Orders(order, torch.nn.functional.one_hot(order, self.n_agents).to(context.dtype))

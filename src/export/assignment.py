"""Greedy orders by operations on tensors, which a network file can hold: on a CPU, controllers solve them in SciPy."""

import torch
from torch import Tensor

from bn_mappo.modules.dag.assignment import BestAssignment
from bn_mappo.modules.dag.permutation import OrderModule, Orders, SinkhornOrders


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

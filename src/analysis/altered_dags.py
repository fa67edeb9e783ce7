"""DAGs that are not the generator's own: with edges cut, with messages lost, or given as they are."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.modules.dag.generators import DAG, DAGGenerator, Noise, NoiseScale
from bn_mappo.modules.dag.ops import depth

LOSS_NOISE = "message_loss_noise"


class ImpairedDAG(DAGGenerator):
    """Another generator's DAGs, without some of their edges. Changes neither their noise nor their order.

    `kept` [N, N]: edges where it is 0 are cut. `loss`: besides, every edge is missing with this probability, in each
    step and game anew, iff its uniform number from `generator` lies below it: of two probabilities, the smaller one
    loses a part of the same messages. `is_sampled`: draw the DAG's own noise; else its mode, where it has one.
    """

    is_random = True  # messages are lost in greedy evaluation too

    def __init__(self, dag: DAGGenerator, is_sampled: bool, generator: torch.Generator, kept: Tensor, loss: float):
        super().__init__()
        self.dag, self.is_sampled = dag, is_sampled or dag.is_random
        self.generator, self.kept, self.loss = generator, kept, loss
        self.is_empty = dag.is_empty

    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        return {**self.dag.noise_shapes(), LOSS_NOISE: tuple(self.kept.shape)}

    def draw_noise(self, n_samples: int, scale: NoiseScale, generator: torch.Generator) -> Noise:
        noise = self.dag.draw_noise(n_samples, scale, generator) if self.is_sampled else {}
        uniform = torch.rand((n_samples, *self.kept.shape), generator=self.generator, device=self.generator.device)
        return {**noise, LOSS_NOISE: uniform}

    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        assert noise is not None, "draw_noise gives the losses, in greedy evaluation too"
        own_noise = {name: value for name, value in noise.items() if name != LOSS_NOISE}
        dag: DAG = self.dag(context, own_noise or None, temperature, recorded_order)
        arrives = (noise[LOSS_NOISE] >= self.loss).to(dag.adjacency.dtype)  # [M, N, N]
        return DAG(dag.adjacency * self.kept * arrives, dag.order)


class GivenDAG(DAGGenerator):
    """The DAGs of M known states, [M, N, N], whatever the context."""

    def __init__(self, adjacency: Tensor):
        super().__init__()
        self.adjacency = adjacency

    def forward(
        self, context: Tensor, noise: Noise | None, temperature: float = 1.0, recorded_order: Tensor | None = None
    ) -> DAG:
        return DAG(self.adjacency, depth(self.adjacency).argsort(dim=-1, stable=True))


@contextmanager
def acting_along(mac: DAGMAC, dag: DAGGenerator) -> Iterator[None]:
    """Let the agents act along other DAGs for a while."""
    own, mac.dag = mac.dag, dag
    try:
        yield
    finally:
        mac.dag = own

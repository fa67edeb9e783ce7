"""Codes of the things that agents see (enemies, allies), and sums over them.

Shapes: R samples, K things, W features of a thing, E units of its code. On a CPU the loops of `set_loops` are used,
which compute nothing twice for the things that are not seen, and write no array of all codes; elsewhere, and where
numba is missing, the plain formulas.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.core.compiling import has_numba
from bn_mappo.core.specs import Array, EntityGroup


class Codes(NamedTuple):
    """Codes z_k of the K things that each sample shows."""

    table: Tensor  # [V + 1, E], see set_loops; where `which` is None, all of them: [R, K, E]
    which: Array | None = None  # [R, K] int32, the row of each thing in the table

    def repeated(self, n_times: int) -> "Codes":
        """With each sample n_times in a row."""
        if self.which is None:
            return Codes(self.table.repeat_interleave(n_times, 0))
        return self._replace(which=self.which.repeat(n_times, 0))


def has_loops(x: Tensor) -> bool:
    """Whether the compiled loops serve for this tensor."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and has_numba() and not torch.compiler.is_compiling()


def loops() -> Any:
    """The compiled loops, which import numba."""
    from bn_mappo.modules import set_loops

    return set_loops


def array(x: Tensor) -> Array:
    """x as an array whose rows follow each other."""
    found: Array = x.detach().contiguous().numpy()
    return found


def encode_things(obs: Tensor, group: EntityGroup, layer: nn.Module) -> Codes:
    """z_k = ReLU(W x_k + b) of what obs [R, D] shows of a group; obs gets no gradient."""
    if has_loops(obs):
        index, features = loops().number_things(array(obs), group.start, group.size, group.width)
        return Codes(torch.relu(layer(torch.from_numpy(features))), index)
    things = obs[:, group.start : group.start + group.size * group.width]
    return Codes(torch.relu(layer(things.unflatten(-1, (group.size, group.width)))))


def sum_codes(codes: Codes) -> Tensor:
    """sum_k z_k, [R, E]."""
    if codes.which is None:
        return codes.table.sum(-2)
    return sum_weighted_codes(codes.table.new_ones(codes.which.shape), codes)


def sum_weighted_codes(weights: Tensor, codes: Codes) -> Tensor:
    """sum_k w_k z_k of weights [R, K]: [R, E]."""
    if codes.which is None:
        return (weights.unsqueeze(-1) * codes.table).sum(-2)
    sums: Tensor = _WeightedSum.apply(weights, codes.table, codes.which)
    return sums


def dot_codes(vectors: Tensor, codes: Codes, rows: slice) -> Tensor:
    """z_k . v of the samples in `rows`: vectors [r, E] -> [r, K]."""
    if codes.which is None:
        return (codes.table[rows] * vectors.unsqueeze(-2)).sum(-1)  # the gradient of bmm is slower
    products: Tensor = _Dot.apply(vectors, codes.table, codes.which[rows])
    return products


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, table: Tensor, index: Array) -> Tensor:
        ctx.save_for_backward(weights, table)
        ctx.index = index
        sums = table.new_zeros(len(index), table.shape[1])
        loops().add_weighted(index, array(weights), array(table), sums.numpy())
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        weights, table = ctx.saved_tensors
        grad, of_weights, of_table = array(gradients[0]), None, torch.zeros_like(table)
        if ctx.needs_input_grad[0]:
            of_weights = weights.new_empty(weights.shape)
            loops().dot_codes(ctx.index, array(table), grad, of_weights.numpy())
        loops().spread_weighted(ctx.index, array(weights), grad, of_table.numpy())
        return of_weights, of_table, None


class _Dot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, table: Tensor, index: Array) -> Tensor:
        ctx.save_for_backward(vectors, table)
        ctx.index = index
        products = table.new_empty(index.shape)
        loops().dot_codes(index, array(table), array(vectors), products.numpy())
        return products

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        vectors, table = ctx.saved_tensors
        grad, of_vectors, of_table = array(gradients[0]), vectors.new_zeros(vectors.shape), torch.zeros_like(table)
        loops().add_weighted(ctx.index, grad, array(table), of_vectors.numpy())
        loops().spread_weighted(ctx.index, grad, array(vectors), of_table.numpy())
        return of_vectors, of_table, None

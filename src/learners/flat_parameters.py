"""Many small parameters as one vector: clipping and Adam are then a few operations, however many layers there are."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class FlatParameters:
    """One vector that holds the values of some parameters, and one for their gradients; the parameters become views.

    `vector` goes to the optimiser in their stead. Has to be made after the parameters have come to their device, and
    their gradients have to be emptied with `zero_grad` alone: `None` would part them from the vector.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], gradient: Tensor | None = None):
        """`gradient` [P]: where to keep the gradient, all 0."""
        parts = list(parameters)  # at least one
        self.vector = nn.Parameter(torch.zeros(sum(p.numel() for p in parts), device=parts[0].device))  # [P]
        self.vector.grad = torch.zeros_like(self.vector) if gradient is None else gradient  # [P]
        begin = 0
        for parameter in parts:
            layout = parameter.shape, parameter.stride()
            parameter.data = self.vector.data.as_strided(*layout, begin).copy_(parameter.data)
            parameter.grad = self.vector.grad[begin:].as_strided(*layout)
            begin += parameter.numel()

    @property
    def gradient(self) -> Tensor:
        """[P]."""
        assert self.vector.grad is not None, "set for good at the start"
        return self.vector.grad

    def zero_grad(self) -> None:
        """Begin a new gradient."""
        self.gradient.zero_()


def flat_groups(groups: Sequence[Iterable[nn.Parameter]]) -> tuple[list[FlatParameters], Tensor]:
    """Each group as one vector, and the one vector of all their gradients, to be emptied or added up at once."""
    parts = [list(group) for group in groups]
    sizes = [sum(p.numel() for p in group) for group in parts]
    gradient = torch.zeros(sum(sizes), device=parts[0][0].device)
    flats = [FlatParameters(group, own) for group, own in zip(parts, gradient.split(sizes), strict=True)]
    return flats, gradient


def clip_gradients(groups: list[FlatParameters], max_norm: float) -> Tensor:
    """Scale the gradients of all groups together to a norm of at most max_norm; returns the norm before, 0-d."""
    norm = torch.stack([group.gradient.norm() for group in groups]).norm()
    scale = torch.where(norm > max_norm, max_norm / (norm + 1e-6), 1.0)  # a Python condition would wait for a GPU
    for group in groups:
        group.gradient.mul_(scale)
    return norm

"""Edges: straight-through Gumbel-softmax samples in {0, 1} from logits and recorded noise."""

import torch
from torch import Tensor


def straight_through_edges(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """U = 1[logit + noise > 0], with the gradient of sigmoid((logit + noise) / temperature).

    For two classes [edge, no edge] the Gumbel-softmax sample depends only on the difference of the logits, and the
    difference of two Gumbel variables is logistic: this is that sample with half the noise (paper, section 6.1).

    logits [..., N, N], the difference edge minus no edge; noise, logistic, likewise -> U [..., N, N].
    """
    score = logits + noise  # [..., N, N]
    hard = (score > 0).to(score.dtype)  # [..., N, N]
    if not score.requires_grad:
        return hard
    soft = torch.sigmoid(score / temperature)  # [..., N, N]
    return hard + (soft - soft.detach())


def logistic_noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Standard logistic noise: the difference of two standard Gumbel variables."""
    uniform = torch.rand(shape, generator=generator, device=device).clamp_(1e-7, 1 - 1e-7)
    return uniform.log() - (1 - uniform).log()

"""The losses of PPO, as means over what counts."""

import torch
from torch import Tensor
from torch.nn import functional


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(values * weight) / sum(weight), 0 where nothing counts; weight broadcasts to values."""
    total = weight.expand_as(values).sum()
    return (values * weight).sum() / total.clamp(min=1.0)


def clipped_surrogate(ratio: Tensor, advantage: Tensor, eps_clip: float) -> Tensor:
    """min(ratio A, clip(ratio, 1 - eps, 1 + eps) A), elementwise (Schulman et al. 2017, equation 7)."""
    clipped = ratio.clamp(1 - eps_clip, 1 + eps_clip)
    return torch.minimum(ratio * advantage, clipped * advantage)


def clipped_value_loss(value: Tensor, old_value: Tensor, target: Tensor, value_clip: float, delta: float) -> Tensor:
    """The larger of the Huber losses of the value and of its clipped change, elementwise.

    value_clip 0 leaves the value unclipped; all arguments are in the same (normalised) units.
    """
    loss = functional.huber_loss(value, target, reduction="none", delta=delta)
    if value_clip == 0:
        return loss
    clipped = old_value + (value - old_value).clamp(-value_clip, value_clip)
    return torch.maximum(loss, functional.huber_loss(clipped, target, reduction="none", delta=delta))

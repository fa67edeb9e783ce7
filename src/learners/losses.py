"""The losses of PPO as weighted sums, each one node of the gradient graph with its gradient written out.

On a CPU and with small networks the time of an update is the number of nodes; a test holds every gradient here against
automatic differentiation of the plain formula. Where several ranks train together (core/ranks.py), a loss here is the
own rank's term of a sum over all of them: gradients are added up once a step, and values where they are logged.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from bn_mappo.core.ranks import shared, total


class _ClippedSurrogate(Function):
    @staticmethod
    def forward(
        ctx: Any, log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, weight: Tensor, eps_clip: float
    ) -> tuple[Tensor, Tensor]:
        ratio = (log_prob - old_log_prob).exp_()  # [B, T, N]
        plain = ratio * advantage  # [B, T, N]
        clipped = ratio.clamp(1 - eps_clip, 1 + eps_clip).mul_(advantage)  # [B, T, N]
        ctx.save_for_backward(plain.mul(weight).mul_(plain <= clipped))
        ctx.mark_non_differentiable(ratio)
        return (torch.minimum(plain, clipped) * weight).sum(), ratio

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * gradients[0], None, None, None, None


def clipped_surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, weight: Tensor, eps_clip: float
) -> tuple[Tensor, Tensor]:
    """sum w min(r A, clip(r, 1 - eps, 1 + eps) A), r = exp(log_prob - old_log_prob) (Schulman et al. 2017, equation 7).

    log_prob, old_log_prob, weight [B, T, N]; advantage [B, T, N] or [B, T, 1]. Returns the sum and the ratio [B, T, N].
    The gradient of log_prob is w r A where the first term is the smaller, else 0.
    """
    surrogate, ratio = _ClippedSurrogate.apply(log_prob, old_log_prob, advantage, weight, eps_clip)
    return surrogate, ratio


class _ClippedValueLoss(Function):
    @staticmethod
    def forward(
        ctx: Any, value: Tensor, old_value: Tensor, target: Tensor, weight: Tensor, value_clip: float, delta: float
    ) -> Tensor:
        error = value - target  # [B, T, V]
        if value_clip:
            change = (value - old_value).clamp_(-value_clip, value_clip)  # [B, T, V]
            clipped_error = change.add_(old_value).sub_(target)  # [B, T, V]
            is_plain = error.abs() >= clipped_error.abs()  # [B, T, V]
            worse = torch.where(is_plain, error, clipped_error)  # [B, T, V]
            inside = (value - old_value).abs_() <= value_clip  # [B, T, V]: the clipped value still moves with the value
            moves = is_plain | inside  # [B, T, V]
        else:
            worse, moves = error, torch.ones_like(error, dtype=torch.bool)
        slope = worse.clamp(-delta, delta)  # [B, T, V]
        ctx.save_for_backward((slope * weight).mul_(moves))
        return (slope * (worse - 0.5 * slope)).mul_(weight).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * gradients[0], None, None, None, None, None


def clipped_value_loss(
    value: Tensor, old_value: Tensor, target: Tensor, weight: Tensor, value_clip: float, delta: float
) -> Tensor:
    """sum w max(h(v - y), h(v_old + clip(v - v_old, -c, c) - y)), h the Huber loss of threshold delta.

    A value_clip c of 0 does not clip. h(x) = s (x - s / 2) with its slope s = clip(x, -delta, delta); it grows with
    |x|, so the larger error gives the larger loss.

    value, old_value, target, weight [B, T, V], in the same (normalised) units.
    """
    loss: Tensor = _ClippedValueLoss.apply(value, old_value, target, weight, value_clip, delta)
    return loss


def normalised(weight: Tensor) -> Tensor:
    """Weights that sum to 1 over all ranks: weighted sums are means over what counts; all 0 where nothing counts."""
    return weight / total(weight.sum()).clamp(min=1.0)


def weighted_sum(values: Tensor, weight: Tensor) -> Tensor:
    """sum(values * weight) over all ranks."""
    return shared((values * weight).sum())


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(values * weight) / sum(weight) over all ranks, 0 where nothing counts; weight broadcasts to values."""
    return weighted_sum(values, normalised(weight.expand_as(values)))

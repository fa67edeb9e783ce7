"""From logits to actions: masked, sampled by pre-drawn noise, or the mode."""

import torch
from torch import Tensor


def mask_logits(logits: Tensor, avail_actions: Tensor | None) -> Tensor:
    """Logits with unavailable actions (0 in avail_actions, of the same shape) at the lowest float: probability 0."""
    if avail_actions is None:
        return logits
    return logits.masked_fill(avail_actions == 0, torch.finfo(logits.dtype).min)


def gumbel_noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Standard Gumbel noise: minus the logarithm of exponential variables, which are above 0."""
    return torch.empty(shape, device=device).exponential_(generator=generator).log_().neg_()


def choose(logits: Tensor, noise: Tensor | None) -> Tensor:
    """argmax_a (logit_a + Gumbel noise) is a sample of softmax(logits); without noise the mode.

    logits [A, ...], noise [..., A] -> [...].
    """
    scores = logits if noise is None else logits + noise.movedim(-1, 0)  # [A, ...]
    return scores.max(0).indices  # ten times faster than argmax here


def log_prob_of(logits: Tensor, actions: Tensor) -> Tensor:
    """log softmax(logits)[actions], [A, ...] and [...] -> [...]."""
    return logits.log_softmax(0).gather(0, actions.unsqueeze(0)).squeeze(0)

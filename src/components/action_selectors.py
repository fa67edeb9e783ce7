"""From logits to actions: masked, sampled by pre-drawn noise, or the mode."""

import torch
from torch import Tensor


def mask_logits(logits: Tensor, avail_actions: Tensor | None) -> Tensor:
    """Logits [..., A] with unavailable actions (0 in avail_actions [..., A]) at the lowest float: probability 0."""
    if avail_actions is None:
        return logits
    return logits.masked_fill(avail_actions == 0, torch.finfo(logits.dtype).min)


def exponential_noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Noise for `choose`: standard exponential variables, above 0."""
    return torch.empty(shape, device=device).exponential_(generator=generator)


def choose(log_probs: Tensor, noise: Tensor | None) -> Tensor:
    """argmax_a p_a / e_a with exponential noise e is a sample of p; without noise the mode. [..., A] -> [...] (int64)."""
    if noise is None:
        return log_probs.argmax(-1)
    return (log_probs.exp() / noise).argmax(-1)

"""From logits to actions: masked, sampled by pre-drawn noise, or the mode."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


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


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) in nats, [A, ...] each -> [...]; log-probabilities of 0 must be finite."""
    return (log_p.exp() * (log_p - log_q)).sum(0)


class _LogProbEntropy(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = logits.log_softmax(0)  # [A, ...]
        probs = logits.softmax(0)  # [A, ...]; exp of the lowest float is slow
        entropy = -(probs * log_probs).sum(0)  # [...]
        ctx.save_for_backward(log_probs, probs, entropy, actions)
        return log_probs.gather(0, actions.unsqueeze(0)).squeeze(0), entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        log_probs, probs, entropy, actions = ctx.saved_tensors
        of_log_prob, of_entropy = gradients
        grad = (log_probs + entropy).mul_(of_entropy).add_(of_log_prob).mul_(probs).neg_()  # [A, ...]
        return grad.scatter_add_(0, actions.unsqueeze(0), of_log_prob.unsqueeze(0)), None


def log_prob_and_entropy(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """log pi(a) and H(pi) = -sum_a pi(a) log pi(a) of pi = softmax(logits).

    logits [A, ...], actions [...] -> [...] each. Gradients: d log pi(a) / d l_k = 1[k = a] - pi_k, and
    dH / d l_k = -pi_k (log pi_k + H). The actions lie on the first axis: where there are few, operations run along
    another. Masked logits must be finite.
    """
    result: tuple[Tensor, Tensor] = _LogProbEntropy.apply(logits, actions)
    return result

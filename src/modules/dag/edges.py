"""Edges in {0, 1} from logits, learned in one of two ways.

Straight-through (the paper's): a hard sample in the forward pass, the gradient of its relaxation in the backward pass.
Bernoulli: the parents of an agent are a random action with a probability, learned by policy gradient.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


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


class EdgeActions(NamedTuple):
    """Edges of M DAGs as actions: each child i chooses its parents among the agents that act before it."""

    edges: Tensor  # [M, N, N] bool, as drawn, those included that the order forbids
    log_prob: Tensor  # [M, N] of the parents of each child
    entropy: Tensor  # [M, N] of that choice, in nats
    probability: Tensor  # [M, N, N] of each edge, 0 where the order forbids it


def bernoulli_edges(logits: Tensor, edges: Tensor, allowed: Tensor) -> EdgeActions:
    """Independent edges, U[j, i] ~ Bernoulli(sigmoid(logit[j, i])), with their exact likelihood by child.

    logits [M, N, N]; edges [M, N, N] bool, the drawn ones; allowed [..., N, N], 1 where j acts before i.
    """
    negative = functional.softplus(logits)  # -log(1 - p) [M, N, N]
    log_prob = torch.where(edges, logits - negative, -negative)  # [M, N, N]
    probability = torch.sigmoid(logits)  # [M, N, N]
    entropy = negative - probability * logits  # [M, N, N]
    return EdgeActions(edges, (log_prob * allowed).sum(-2), (entropy * allowed).sum(-2), probability * allowed)

"""Orders of the agents, learned in one of two ways.

Gumbel-Sinkhorn (the paper's): hard assignment in the forward pass, Sinkhorn in the backward pass (straight-through).
Plackett-Luce: the order is a random action with a probability, learned by policy gradient.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.modules.action_selectors import gumbel_noise
from bn_mappo.modules.dag.assignment import assign
from bn_mappo.modules.dag.nets import PermutationNet, ScoreNet

# Below this, relative to the largest entry, a log score counts as this: keeps exp() and its inverse finite in float32.
LOWEST_LOG_SCORE = -60.0


class Orders(NamedTuple):
    """M orders of N agents."""

    order: Tensor  # [M, N]; order[m, k] is the agent that acts k-th
    pi: Tensor  # [M, N, N]; pi[m, k, i] == 1 iff agent i acts k-th. May carry a gradient
    log_prob: Tensor | None = None  # [M] of the order, where it is an action of the policy


class OrderModule(nn.Module):
    """Orders = module(context [M, K, D], noise or None, temperature, recorded order or None)."""

    is_action = False  # True: an order has a probability, and is learned by policy gradient

    @abstractmethod
    def draw_noise(self, n_samples: int, scale: float, generator: torch.Generator) -> Tensor:
        """Noise of n_samples orders, [n_samples, *noise_shape]."""

    @abstractmethod
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise of one order."""

    @abstractmethod
    def forward(self, context: Tensor, noise: Tensor | None, temperature: float, recorded: Tensor | None) -> Orders:
        """The orders of M contexts; noise None is the mode. `recorded` [M, N]: the orders that were acted in."""


class SinkhornOrders(OrderModule):
    """Best assignments of noisy log scores, differentiable through Sinkhorn's matrix (paper, section 6.1)."""

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int, iterations: int):
        super().__init__()
        self.n_agents, self.iterations = n_agents, iterations
        self.scores = PermutationNet(n_agents, context_shape, hidden_dim)

    def noise_shape(self) -> tuple[int, ...]:
        return (self.n_agents, self.n_agents)

    def draw_noise(self, n_samples: int, scale: float, generator: torch.Generator) -> Tensor:
        return scale * gumbel_noise((n_samples, *self.noise_shape()), generator, generator.device)

    def forward(self, context: Tensor, noise: Tensor | None, temperature: float, recorded: Tensor | None) -> Orders:
        scores = self.scores(context)  # [M, N, N]
        if noise is not None:
            scores = scores + noise
        pi, order = straight_through_order(scores, temperature, self.iterations, guess=recorded)
        return Orders(order, pi)


class PlackettLuceOrders(OrderModule):
    """Who acts first is drawn by softmax of the agents' scores, then who acts second among the others, and so on.

    Adding Gumbel noise to the scores and sorting draws from this distribution (Yellott 1977), and the mode is the order
    of the scores. The recorded order is kept when the scores change, as an action is: only its probability moves.
    """

    is_action = True

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int):
        super().__init__()
        self.n_agents = n_agents
        self.scores = ScoreNet(n_agents, context_shape, hidden_dim)

    def noise_shape(self) -> tuple[int, ...]:
        return (self.n_agents,)

    def draw_noise(self, n_samples: int, scale: float, generator: torch.Generator) -> Tensor:
        return gumbel_noise((n_samples, self.n_agents), generator, generator.device)  # of scale 1: a probability's

    def forward(self, context: Tensor, noise: Tensor | None, temperature: float, recorded: Tensor | None) -> Orders:
        scores = self.scores(context)  # [M, N]
        if recorded is None:
            recorded = (scores if noise is None else scores + noise).argsort(dim=-1, descending=True, stable=True)
        pi = torch.nn.functional.one_hot(recorded, self.n_agents).to(scores.dtype)  # [M, N, N]
        return Orders(recorded, pi, plackett_luce_log_prob(scores, recorded))


def plackett_luce_log_prob(scores: Tensor, order: Tensor) -> Tensor:
    """log P(order) = sum_k (s_k - log sum_{l >= k} exp(s_l)), s_k the score of the k-th (Plackett 1975).

    scores [..., N], order [..., N] -> [...].
    """
    by_rank = scores.gather(-1, order)  # [..., N]
    of_those_left = by_rank.flip(-1).logcumsumexp(-1).flip(-1)  # [..., N]
    return (by_rank - of_those_left).sum(-1)


class _Sinkhorn(torch.autograd.Function):
    """P = diag(u) K diag(v) with rows and columns that sum to 1, K = exp(log_scores), and the gradient of that limit.

    Forward: u <- 1 / (K v), v <- 1 / (K^T u), `iterations` times from v = 1. Backward: with G = dL/dP, from P 1 = 1 and
    P^T 1 = 1 follows dL/dlog K = P * (G - a 1^T - 1 b^T), where a + P b = (P * G) 1 and P^T a + b = (P * G)^T 1; solved
    by turns, `iterations` times as well. The samples lie on the last axis, so that operations run along memory.
    """

    @staticmethod
    def forward(ctx: Any, log_scores: Tensor, iterations: int) -> Tensor:
        scores = log_scores.permute(1, 2, 0).contiguous()  # [N, N, M]
        scores = scores - scores.amax(1, keepdim=True)
        kernel = (scores - scores.amax(0, keepdim=True)).clamp_(min=LOWEST_LOG_SCORE).exp_()  # [N, N, M]
        work = torch.empty_like(kernel)  # [N, N, M]
        u = v = torch.ones_like(kernel[0])  # [N, M]
        for _ in range(iterations):
            u = torch.mul(kernel, v, out=work).sum(1).reciprocal_()  # [N, M]
            v = torch.mul(kernel, u.unsqueeze(1), out=work).sum(0).reciprocal_()  # [N, M]
        p = kernel.mul_(u.unsqueeze(1)).mul_(v)  # [N, N, M]
        ctx.save_for_backward(p)
        ctx.iterations = iterations
        return p.permute(2, 0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        weighted = p * gradients[0].permute(1, 2, 0).contiguous()  # [N, N, M]
        rows, columns = weighted.sum(1), weighted.sum(0)  # [N, M]
        work = torch.empty_like(p)  # [N, N, M]
        a = torch.zeros_like(rows)  # [N, M]
        for _ in range(ctx.iterations):
            b = columns - torch.mul(p, a.unsqueeze(1), out=work).sum(0)  # [N, M]
            a = rows - torch.mul(p, b, out=work).sum(1)  # [N, M]
        return weighted.sub_(p * (a.unsqueeze(1) + b)).permute(2, 0, 1), None


def sinkhorn(log_scores: Tensor, iterations: int = 10) -> Tensor:
    """The (nearly) doubly-stochastic matrix of exp(log_scores), [M, N, N] -> [M, N, N] (paper, section 6.1).

    Rows and columns are normalised in turn, `iterations` times each; the gradient is that of the limit. With 10 of them
    it has a cosine of more than 0.9995 with the gradient of 300 (tests/unit/test_generators.py).
    """
    result: Tensor = _Sinkhorn.apply(log_scores, iterations)
    return result


def straight_through_order(
    scores: Tensor, temperature: float, iterations: int, guess: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Pi and the order of noisy scores [M, N, N] (rank, agent): hard in the forward pass, Sinkhorn in the backward one.

    `guess` [M, N] is an order that is probably right, such as the one that was acted in; it only saves time.
    Returns Pi [M, N, N], Pi[k, i] == 1 iff agent i acts k-th, and order [M, N].
    """
    order = assign(scores, guess)  # [M, N]
    hard = torch.nn.functional.one_hot(order, scores.shape[-1]).to(scores.dtype)  # [M, N, N]
    if not scores.requires_grad:
        return hard, order
    soft = sinkhorn(scores / temperature, iterations)  # [M, N, N]
    return hard + (soft - soft.detach()), order

"""Orders of the agents: hard assignment in the forward pass, Sinkhorn in the backward pass (straight-through)."""

from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

# Below this, relative to the largest entry, a log score counts as this: keeps exp() and its inverse finite in float32.
LOWEST_LOG_SCORE = -60.0


def assign(scores: Tensor) -> Tensor:
    """The best order of each row of scores: argmax over permutations of sum_k scores[k, order[k]].

    scores [M, N, N] (rank, agent) -> order [M, N] (int64). Subtracting potentials from rows and columns does not change
    the best assignment, so that of the noisy logits is that of the logarithm of their doubly-stochastic matrix.
    """
    matrices = scores.detach().cpu().numpy()  # [M, N, N]
    order = np.empty(matrices.shape[:2], dtype=np.int64)
    for index, matrix in enumerate(matrices):
        order[index] = linear_sum_assignment(matrix, maximize=True)[1]
    return torch.from_numpy(order).to(scores.device)


class _Sinkhorn(torch.autograd.Function):
    """Sinkhorn's iteration on kernel = exp(log_scores) through scaling vectors, with its exact reverse pass.

    u <- 1 / (kernel v), v <- 1 / (kernel^T u), `iterations` times from v = 1; the result is diag(u) kernel diag(v).
    The games lie on the last axis, so that every operation runs along memory.
    """

    @staticmethod
    def forward(ctx: Any, log_scores: Tensor, iterations: int) -> Tensor:
        scores = log_scores.permute(1, 2, 0)  # [N, N, M]
        scores = scores - scores.amax(1, keepdim=True)
        scores = (scores - scores.amax(0, keepdim=True)).clamp_min(LOWEST_LOG_SCORE)
        kernel = scores.exp()  # [N, N, M]
        v = torch.ones_like(kernel[0])  # [N, M]
        us, vs = [], [v]
        for _ in range(iterations):
            u = (kernel * v).sum(1).reciprocal_()  # [N, M]
            v = (kernel * u.unsqueeze(1)).sum(0).reciprocal_()  # [N, M]
            us.append(u)
            vs.append(v)
        ctx.save_for_backward(kernel, *us, *vs)
        return (us[-1].unsqueeze(1) * kernel * v).permute(2, 0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        kernel, *scalings = ctx.saved_tensors
        n_iterations = (len(scalings) - 1) // 2
        us, vs = scalings[:n_iterations], scalings[n_iterations:]
        grad = gradients[0].permute(1, 2, 0)  # [N, N, M]
        weighted = grad * kernel  # [N, N, M]
        grad_u = (weighted * vs[-1]).sum(1)  # [N, M]
        grad_v = (weighted * us[-1].unsqueeze(1)).sum(0)  # [N, M]
        grad_kernel = grad * us[-1].unsqueeze(1) * vs[-1]  # [N, N, M]
        for k in range(n_iterations - 1, -1, -1):
            grad_columns = -grad_v * vs[k + 1].square()  # [N, M]: of kernel^T u
            grad_u = grad_u + (kernel * grad_columns).sum(1)  # [N, M]
            grad_rows = -grad_u * us[k].square()  # [N, M]: of kernel v
            grad_kernel = grad_kernel.addcmul_(us[k].unsqueeze(1), grad_columns.unsqueeze(0))
            grad_kernel = grad_kernel.addcmul_(grad_rows.unsqueeze(1), vs[k].unsqueeze(0))
            grad_v = (kernel * grad_rows.unsqueeze(1)).sum(0)  # [N, M]
            grad_u = torch.zeros_like(grad_u)
        return (grad_kernel * kernel).permute(2, 0, 1), None


def sinkhorn(log_scores: Tensor, iterations: int = 20) -> Tensor:
    """The (nearly) doubly-stochastic matrix of exp(log_scores), [M, N, N] -> [M, N, N] (paper, section 6.1).

    Rows and columns are normalised in turn, `iterations` times each.
    """
    result: Tensor = _Sinkhorn.apply(log_scores, iterations)  # type: ignore[no-untyped-call]
    return result


def straight_through_order(scores: Tensor, temperature: float, iterations: int) -> tuple[Tensor, Tensor]:
    """Pi and the order of noisy scores [M, N, N] (rank, agent): hard in the forward pass, Sinkhorn in the backward one.

    Returns Pi [M, N, N], Pi[k, i] == 1 iff agent i acts k-th, and order [M, N].
    """
    order = assign(scores)  # [M, N]
    hard = torch.nn.functional.one_hot(order, scores.shape[-1]).to(scores.dtype)  # [M, N, N]
    if not scores.requires_grad:
        return hard, order
    soft = sinkhorn(scores / temperature, iterations)  # [M, N, N]
    return hard + (soft - soft.detach()), order

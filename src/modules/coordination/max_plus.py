"""The joint action of the highest value on a coordination graph, by max-plus message passing."""

import torch
from torch import Tensor

LOWEST = -1e9  # of unavailable actions: below any value, and sums of many stay finite


def max_plus(
    utilities: Tensor,
    tables: Tensor,
    edges: Tensor,
    n_rounds: int,
    avail_actions: Tensor | None = None,
    is_edge: Tensor | None = None,
) -> Tensor:
    """argmax over a of sum_i u_i(a_i) + sum_e f_e(a_i, a_j): exact on trees of a diameter of at most n_rounds.

    utilities [M, N, A]; tables [M, E, A, A] of the edges [2, E]; avail_actions [M, N, A] (None: all); is_edge [M, E]
    (None: all) -> actions [M, N]. Messages are normalised, and of the joint actions that are met in all rounds the best
    one is returned, so that on graphs with cycles more rounds never give less (Kok and Vlassis 2006, section 3).
    """
    i, j = edges
    if is_edge is not None:
        tables = tables * is_edge[..., None, None]
    if avail_actions is not None:
        utilities = utilities.masked_fill(avail_actions == 0, LOWEST)
    n_samples, n_edges, n_actions = tables.shape[:3]
    to_i, to_j = tables.new_zeros(2, n_samples, n_edges, n_actions)  # messages [M, E, A] about the receiver's actions
    belief = utilities  # [M, N, A]
    best = belief.argmax(-1)  # [M, N]
    best_value = joint_value(utilities, tables, edges, best)  # [M]
    for _ in range(n_rounds if n_edges else 0):
        from_i, from_j = belief[:, i] - to_i, belief[:, j] - to_j  # [M, E, A]: all that others say
        to_j = (from_i.unsqueeze(-1) + tables).amax(-2)
        to_i = (from_j.unsqueeze(-2) + tables).amax(-1)
        to_i, to_j = to_i - to_i.mean(-1, keepdim=True), to_j - to_j.mean(-1, keepdim=True)
        if is_edge is not None:
            to_i, to_j = to_i * is_edge.unsqueeze(-1), to_j * is_edge.unsqueeze(-1)
        belief = utilities.index_add(1, i, to_i).index_add(1, j, to_j)
        actions = belief.argmax(-1)  # [M, N]
        value = joint_value(utilities, tables, edges, actions)  # [M]
        is_better = value > best_value
        best = torch.where(is_better.unsqueeze(-1), actions, best)
        best_value = torch.maximum(value, best_value)
    return best


def joint_value(utilities: Tensor, tables: Tensor, edges: Tensor, actions: Tensor) -> Tensor:
    """sum_i u_i(a_i) + sum_e f_e(a_i, a_j) of joint actions [M, N], [M]."""
    of_agents = utilities.gather(-1, actions.unsqueeze(-1)).squeeze(-1).sum(-1)  # [M]
    first, second = actions[:, edges[0]], actions[:, edges[1]]  # [M, E]
    flat = first * tables.shape[-1] + second  # [M, E]
    of_edges = tables.flatten(-2).gather(-1, flat.unsqueeze(-1)).squeeze(-1).sum(-1)  # [M]
    return of_agents + of_edges

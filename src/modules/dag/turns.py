"""Who acts when along a batch of DAGs: all agents of one depth at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from modules.dag.ops import depth


class Turns(NamedTuple):
    """B games of N agents as one row of B * N agents, shallowest first; a turn is a slice of it, of R agents."""

    row: Tensor  # [B * N]: game * N + agent
    agents: Tensor  # [B * N]: the agent alone
    sizes: list[int]  # R of each turn
    rows: tuple[Tensor, ...]  # of each turn: its part of `row`, [R]
    games: tuple[Tensor, ...]  # of each turn: the games of its agents, [R]
    parents: tuple[Tensor, ...]  # of each turn: [R, N], 1 for each parent of its agents
    place: Tensor  # [B * N]: where each agent stands in the row


def plan_turns(adjacency: Tensor, depths: Tensor | None = None) -> Turns:
    """The turns of DAGs [B, N, N]; `depths` [B, N], where they are known."""
    n_agents = adjacency.shape[-1]
    flat = (depth(adjacency) if depths is None else depths).flatten()  # [B * N]
    row = flat.argsort(stable=True)  # [B * N]
    sizes = torch.bincount(flat).tolist()
    return Turns(
        row,
        row % n_agents,
        sizes,
        row.split(sizes),
        (row // n_agents).split(sizes),
        adjacency.mT.flatten(0, 1).index_select(0, row).split(sizes),
        row.argsort(),
    )

"""Scripted policies for Aloha, from sending never to the best that can be sent at each step.

Under the default rules and an episode of 20 steps they earn: never sending 0, one colour as fixed senders 6.20, the
colours in turn 9.55, a fixed order 9.28, the longest backlog first 8.86, the heavier colour first 9.62, the most
messages that can be sent at each step 9.70, uniform random -820. tests/unit/test_environments.py checks each over 4,000
episodes.
"""

from functools import partial
from typing import Protocol

import numpy as np

from bn_mappo.core.specs import Array, EnvInfo, Policy

LARGEST_ENUMERATED = 16  # islands up to which all sets of senders are listed


class Islands(Protocol):
    """What these policies know of B games: everything that Aloha holds."""

    info: EnvInfo
    rng: np.random.Generator
    clock: Array  # [B]
    backlog: Array  # [B, N]
    max_backlog: int
    neighbours: Array  # [N, N]


def in_order(game: Islands, order: Array) -> Array:
    """Each agent sends iff it has a message and no neighbour before it sends; order [B, N] or [N]. Returns [B, N]."""
    n_games, n_agents = game.backlog.shape
    order = np.broadcast_to(order, (n_games, n_agents))
    sends = np.zeros((n_games, n_agents), dtype=np.int64)
    games = np.arange(n_games)
    for k in range(n_agents):
        agent = order[:, k]  # [B]
        disturbed = (sends * game.neighbours[agent]).any(-1)  # [B]
        sends[games, agent] = (game.backlog[games, agent] > 0) & ~disturbed
    return sends


def longest_first(game: Islands) -> Array:
    """Longer backlogs go first, equal ones in random order. Returns [B, N]."""
    return in_order(game, np.argsort(-game.backlog - game.rng.random(game.backlog.shape), axis=-1))


def checkerboard_class(game: Islands) -> Array:
    """[N]: the colour of each cell, 0 or 1; on the grid no two neighbours have the same."""
    assert game.info.layout is not None
    row, column = np.divmod(np.arange(game.info.n_agents), game.info.layout[1])
    return (row + column) % 2


def independent_sets(neighbours: Array) -> Array:
    """All sets of agents without two neighbours, [K, N] (bool); grown agent by agent."""
    n_agents = len(neighbours)
    sets = np.zeros((1, n_agents), dtype=bool)
    for agent in range(n_agents):
        can_join = ~(sets & (neighbours[agent] > 0)).any(-1)
        joined = sets[can_join].copy()
        joined[:, agent] = True
        sets = np.concatenate([sets, joined])
    return sets


def myopic_optimum(game: Islands, sets: Array) -> Array:
    """Most messages through in this step; of such sets the one that relieves the longest backlogs. Returns [B, N]."""
    waiting = game.backlog > 0  # [B, N]
    value = waiting + game.backlog / (game.info.n_agents * game.max_backlog + 1)  # [B, N]: messages first, then length
    best = (value @ sets.T.astype(np.float64)).argmax(-1)  # [B]
    return (sets[best] & waiting).astype(np.int64)


def heavier_class(game: Islands, colour: Array) -> Array:
    """The colour with more messages in all goes first, the other fills what is left. Returns [B, N]."""
    of_one = game.backlog @ colour > game.backlog @ (1 - colour)  # [B]
    order = np.where(of_one[:, None], np.argsort(-colour, kind="stable"), np.argsort(colour, kind="stable"))
    return in_order(game, order)


def uniform_random(game: Islands) -> Array:
    """Every island sends or waits with equal chances. Returns [B, N]."""
    return game.rng.integers(0, 2, size=game.backlog.shape)


def reference_policies(game: Islands) -> dict[str, Policy]:
    """All of them, for this game."""
    colour = checkerboard_class(game)
    senders = np.broadcast_to(1 - colour, game.backlog.shape)
    policies: dict[str, Policy] = {
        "never send": lambda: np.zeros(game.backlog.shape, dtype=np.int64),
        "uniform random": partial(uniform_random, game),
        "fixed senders (one colour)": lambda: senders,
        "longest backlog first": partial(longest_first, game),
        "fixed order": lambda: in_order(game, np.arange(game.info.n_agents)),
        "colours in turn": lambda: (colour + game.clock[:, None]) % 2,
        "heavier colour first": partial(heavier_class, game, colour),
    }
    if game.info.n_agents <= LARGEST_ENUMERATED:
        policies["most messages (central)"] = partial(myopic_optimum, game, independent_sets(game.neighbours))
    return policies

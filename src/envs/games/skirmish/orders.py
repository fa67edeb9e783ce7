"""Whole battles of scripts whose orders no action can give: attack orders at any distance, as public scripts give them.

An action aims at what is within 6 cells; these scripts order an attack on whomever they like, and the unit walks there.
They are held against the same scripts in the real game (benchmarks/calibration.py).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bn_mappo.core.specs import Array, Policy
from bn_mappo.envs.games.skirmish.game import Skirmish

Orders = Callable[[], Array]  # the unit that each agent is ordered to attack or heal [B, N], -1: stop
FAR = 1e9  # as a distance: never chosen


class Battle(NamedTuple):
    """How B battles ended."""

    won: Array  # [B] bool
    dead_allies: Array  # [B]
    score: Array  # [B] health left to the agents and lost by the enemies, as a share of all health at the start
    steps: Array  # [B]


def fight(game: Skirmish, orders: Orders) -> Battle:
    """One battle of every game, from a new start, in which the agents follow these orders instead of actions."""
    core, t, n_agents = game.core, game.tables, game.info.n_agents

    def advance() -> None:
        game.marks[:, core.TARGET, :n_agents] = orders()
        game.marks[:, core.HAS_GOAL, :n_agents] = 0
        core.play_loops(
            game.units, game.marks, game.streams, t.trait, t.pair, t.rule, game.goals, t.walkable, t.near_wall,
            n_agents, game.n_loops, False,
        )  # fmt: skip

    return _battle(game, advance)


def fight_by_actions(game: Skirmish, policy: Policy) -> Battle:
    """One battle of every game, from a new start, by actions [B, N]."""
    return _battle(game, lambda: game.advance(policy()))


def _battle(game: Skirmish, advance: Callable[[], object]) -> Battle:
    """Play steps until all games have ended; what counts is the first end of each."""
    core, n_agents, limit = game.core, game.info.n_agents, game.info.episode_limit
    full, healers = game.tables.trait[core.MAX_HEALTH], game.tables.trait[core.HEAL] > 0
    game.reset()
    outcome = np.zeros((4, game.batch_size))
    is_running = np.ones(game.batch_size, dtype=bool)
    while is_running.any() and game.clock[0] < limit:
        advance()
        game.clock += 1
        health = game.units[:, core.HEALTH]
        fights = (health > 0) & ~healers
        allies_fight, enemies_fight = fights[:, :n_agents].any(-1), fights[:, n_agents:].any(-1)
        score = health[:, :n_agents].sum(-1) + (full - health)[:, n_agents:].sum(-1)
        dead = (health[:, :n_agents] <= 0).sum(-1)
        now = np.stack([allies_fight & ~enemies_fight, dead, score / full.sum(), game.clock])
        outcome = np.where(is_running, now, outcome)
        is_running &= allies_fight & enemies_fight
    return Battle(outcome[0] > 0, *outcome[1:])


def attack_closest(game: Skirmish) -> Array:
    """Attack the closest enemy, chosen anew in each step; healers heal the weakest of the wounded. Returns [B, N]."""
    core = game.core
    distance, can_choose = _distances(game)
    health = game.units[:, None, core.HEALTH]
    score = np.where(_heals(game)[:, None], health, distance)
    return _least(np.where(can_choose, score, FAR))


def stay_with_closest(game: Skirmish) -> Orders:
    """The script that SMAC's class plays with `heuristic_ai`: the closest enemy, until it is dead.

    Healers heal the closest of the wounded until that one is well.
    """
    chosen = np.full((game.batch_size, game.info.n_agents), -1)

    def orders() -> Array:
        distance, can_choose = _distances(game)
        kept = np.take_along_axis(can_choose, np.maximum(chosen, 0)[..., None], -1)[..., 0] & (chosen >= 0)
        chosen[:] = np.where(kept, chosen, _least(np.where(can_choose, distance, FAR)))
        return chosen.copy()

    return orders


def _heals(game: Skirmish) -> Array:
    return game.tables.trait[game.core.HEAL, : game.info.n_agents] > 0  # [N]


def _distances(game: Skirmish) -> tuple[Array, Array]:
    """From agents to units [B, N, U]: between centres, and who can be attacked or, where wounded, healed."""
    core, trait, n_agents = game.core, game.tables.trait, game.info.n_agents
    position = game.units[:, [core.X, core.Y]].swapaxes(1, 2)  # [B, U, 2]
    distance = np.linalg.norm(position[:, None] - position[:, :n_agents, None], axis=-1)
    health = game.units[:, None, core.HEALTH]
    is_wanted = (health > 0) & (game.tables.pair[core.REACH, :n_agents] > 0)
    return distance, is_wanted & ((health < trait[core.MAX_HEALTH]) | ~_heals(game)[:, None])


def _least(score: Array) -> Array:
    """The unit of the least score; -1 where none can be chosen. Returns [B, N]."""
    return np.where(score.min(-1) < FAR, score.argmin(-1), -1)

"""Scripted policies for Skirmish with full sight of the game: chance, standing one's ground, and focus fire with kiting.

What they earn on each map stands in docs/environments.md, with the command that made it; tests hold the order of it.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from envs.vec_env import Array, Policy

if TYPE_CHECKING:
    from envs.skirmish.game import Skirmish

SHORT_RANGE = 1.0  # cells from edge to edge; weapons of at most this range belong to melee units, which can be kited
LOADING = 3.0  # game loops; a weapon that needs longer gives time for a step back
CAUTION = 3.0  # cells from edge to edge; melee units nearer than this are walked away from
OUT_OF_THE_QUESTION = 1e9


def uniform_random(game: "Skirmish") -> Array:
    """Every agent takes one of its available actions, all alike. Returns [B, N]."""
    avail_actions = game.avail_actions()
    return (game.rng.random(avail_actions.shape) * avail_actions).argmax(-1)


def nearest_first(game: "Skirmish") -> Array:
    """Shoot at, or else walk to, the nearest enemy that one can hurt; healers help the most wounded. Returns [B, N]."""
    return _fight(game, is_focused=False, is_kiting=False)


def focus_and_kite(game: "Skirmish") -> Array:
    """All shoot at the weakest enemy in reach, and step back from melee units while they load. Returns [B, N]."""
    return _fight(game, is_focused=True, is_kiting=True)


def _fight(game: "Skirmish", is_focused: bool, is_kiting: bool) -> Array:
    core, pair, trait = game.core, game.tables.pair, game.tables.trait
    n_agents, n_units = game.info.n_agents, game.units.shape[2]
    avail_actions = game.avail_actions()  # [B, N, A]
    position = game.units[:, [core.X, core.Y]].swapaxes(1, 2)  # [B, U, 2]
    towards = position[:, None] - position[:, :n_agents, None]  # [B, N, U, 2]
    distance = np.sqrt((towards**2).sum(-1))  # [B, N, U]
    vigour = game.units[:, core.HEALTH] + game.units[:, core.SHIELD]  # [B, U]
    is_alive = game.units[:, core.HEALTH] > 0  # [B, U]
    is_healer = trait[core.HEAL, :n_agents] > 0  # [N]
    can_hurt = pair[core.HIT, :n_agents] > 0  # [N, U]
    # fighters go for enemies, healers for fighters of their own side
    wanted = np.where(is_healer[:, None], pair[core.REACH, :n_agents] > 0, can_hurt) & is_alive[:, None]  # [B, N, U]
    goal = np.where(wanted, distance, OUT_OF_THE_QUESTION).argmin(-1)  # [B, N]: whom to walk to
    actions = _step(avail_actions, _of(towards, goal))
    # whom to shoot or heal: action 6 + k aims at enemy k, or at ally k for a healer
    score_of_foes = vigour[:, None] + 0.01 * distance if is_focused else distance  # [B, N, U]: the least is shot at
    wounded = vigour < trait[core.MAX_HEALTH] + trait[core.MAX_SHIELD]  # [B, U]
    n_targets = avail_actions.shape[-1] - core.FIRST_TARGET
    for agent in range(n_agents):
        first = 0 if is_healer[agent] else n_agents
        last = min(first + n_targets, n_units)
        can_aim = avail_actions[:, agent, core.FIRST_TARGET : core.FIRST_TARGET + last - first]
        can_aim = can_aim & wanted[:, agent, first:last]
        score = score_of_foes[:, agent, first:last]
        if is_healer[agent]:
            can_aim, score = can_aim & wounded[:, first:last], vigour[:, first:last]
        target = np.where(can_aim, score, OUT_OF_THE_QUESTION).argmin(-1)  # [B]
        actions[:, agent] = np.where(can_aim.any(-1), core.FIRST_TARGET + target, actions[:, agent])
    if is_kiting:
        actions = _kite(game, actions, avail_actions, towards, distance, is_alive)
    return np.where(is_alive[:, :n_agents], actions, core.NO_OP)


def _kite(game: "Skirmish", actions: Array, avail_actions: Array, towards: Array, distance: Array, is_alive: Array) -> Array:
    """Ranged agents whose weapon loads step away from the nearest melee unit that is close. Returns [B, N]."""
    core, pair, trait = game.core, game.tables.pair, game.tables.trait
    n_agents = game.info.n_agents
    gap = distance - trait[core.RADIUS, :n_agents, None] - trait[core.RADIUS]  # [B, N, U] edge to edge
    weapon = np.sqrt(pair[core.REACH]) - trait[core.RADIUS, :, None] - trait[core.RADIUS]  # [U, U] range where it has one
    is_threat = (pair[core.HIT, :, :n_agents].T > 0) & (weapon[:, :n_agents].T <= SHORT_RANGE)  # [N, U]
    is_ranged = (np.where(pair[core.HIT, :n_agents] > 0, weapon[:n_agents], 0.0) > SHORT_RANGE).any(-1)  # [N]
    near = np.where(is_threat & is_alive[:, None], gap, OUT_OF_THE_QUESTION)  # [B, N, U]
    threat = near.argmin(-1)  # [B, N]
    loads = game.units[:, core.COOLDOWN, :n_agents] > LOADING  # [B, N]
    flees = loads & is_ranged & (near.min(-1) < CAUTION)
    return np.where(flees, _step(avail_actions, -_of(towards, threat)), actions)


def _of(values: Array, chosen: Array) -> Array:
    """values[b, i, chosen[b, i]]: [B, N, 2] of [B, N, U, 2]."""
    return np.take_along_axis(values, chosen[..., None, None], axis=2)[:, :, 0]


def _step(avail_actions: Array, direction: Array) -> Array:
    """The available move that leads farthest along direction [B, N, 2], or else a stop. Returns [B, N]."""
    x, y = direction[..., 0], direction[..., 1]
    along = np.stack([y, -y, x, -x], axis=-1)  # [B, N, 4]: north, south, east, west
    along = np.where(avail_actions[..., 2:6], along, -OUT_OF_THE_QUESTION)
    can_stop, best = 1, along.argmax(-1)
    return np.where(along.max(-1) > 0, 2 + best, can_stop)


def reference_policies(game: "Skirmish") -> dict[str, Policy]:
    """All of them, for this game."""
    return {
        "uniform random": partial(uniform_random, game),
        "nearest enemy first": partial(nearest_first, game),
        "focus fire and kite": partial(focus_and_kite, game),
    }

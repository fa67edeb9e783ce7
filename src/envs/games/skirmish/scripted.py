"""Scripted policies for Skirmish with full sight of the game: chance, charging, and holding, focus fire and kiting.

What they earn on each map stands in docs/environments.md, with the command that made it; tests hold the order of it.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from bn_mappo.core.specs import Array, Policy
from bn_mappo.envs.games.skirmish.battles import Battles

SHORT_RANGE = 1.0  # cells from edge to edge; weapons of at most this range belong to melee units, which can be kited
LOADING = 3.0  # game loops; a weapon that needs longer gives time for a step back
CAUTION = 3.0  # cells from edge to edge; melee units nearer than this are walked away from
PATIENCE = 25  # steps for which the agents wait where they stand; enemies that have somewhere to go have come by then
DOOMED, FAR = 1e6, 1e9  # added to scores: taken last; never taken


class Sight(NamedTuple):
    """What a script knows of B games; U units, of which the first N are the agents."""

    avail_actions: Array  # [B, N, A]
    towards: Array  # [B, N, U, 2] from agents to units
    distance: Array  # [B, N, U] between centres
    vigour: Array  # [B, U] health and shield
    is_alive: Array  # [B, U]
    wanted: Array  # [B, N, U]: living enemies that an agent can hurt, living allies that a healer can heal


def look(game: Battles) -> Sight:
    """The present state."""
    core, pair, n_agents = game.core, game.tables.pair, game.info.n_agents
    position = game.units[:, [core.X, core.Y]].swapaxes(1, 2)  # [B, U, 2]
    towards = position[:, None] - position[:, :n_agents, None]  # [B, N, U, 2]
    is_alive = game.units[:, core.HEALTH] > 0
    vigour = game.units[:, core.HEALTH] + game.units[:, core.SHIELD]
    wanted = (pair[core.REACH, :n_agents] > 0) & is_alive[:, None]  # what has no reach can neither be hurt nor healed
    return Sight(game.avail_actions(), towards, np.sqrt((towards**2).sum(-1)), vigour, is_alive, wanted)


def uniform_random(game: Battles) -> Array:
    """Every agent takes one of its available actions, all alike. Returns [B, N]."""
    avail_actions = game.avail_actions()
    return (game.rng.random(avail_actions.shape) * avail_actions).argmax(-1)


def nearest_first(game: Battles) -> Array:
    """Go to the nearest enemy, and shoot at the nearest in reach; healers heal the weakest. Returns [B, N]."""
    sight = look(game)
    scores = np.where(_is_healer(game)[:, None], sight.vigour[:, None], sight.distance)
    return _aim(game, sight, scores, approach(sight))


def focus_and_kite(game: Battles) -> Array:
    """Wait for the enemies, shoot at the weakest, and step back from melee units while loading. Returns [B, N]."""
    sight = look(game)
    core, n_agents = game.core, game.info.n_agents
    in_fight = (sight.avail_actions[..., core.FIRST_TARGET :] & ~_is_healer(game)[:, None]).any((1, 2))  # [B]
    goes = in_fight | (game.clock >= PATIENCE) | (game.tables.goal[1, core.IS_SET] == 0)
    idle = np.where(goes[:, None], approach(sight), core.STOP)
    actions = _aim(game, sight, sight.vigour[:, None] + 0.01 * sight.distance, idle, is_sparing=True)
    flees, away = _threatened(game, sight)
    actions = np.where(flees, _step(sight.avail_actions, away), actions)
    return np.where(sight.is_alive[:, :n_agents], actions, core.NO_OP)


def alternate_fire(game: Battles) -> Array:
    """SMAC's trick against one melee unit: only the agent farthest from it shoots, the others stop.

    An enemy leaves an agent that does nothing for one that attacks, so it goes to and fro between them. The farthest
    comes nearer if the enemy has come to another agent and is out of its own range. Returns [B, N].
    """
    core, n_agents = game.core, game.info.n_agents
    sight = look(game)
    farthest = np.where(sight.is_alive[:, :n_agents], sight.distance[..., n_agents], -FAR).argmax(-1)  # [B]
    can_aim, acts = sight.avail_actions[..., core.FIRST_TARGET], np.arange(n_agents) == farthest[:, None]  # [B, N]
    comes = acts & can_aim.any(-1, keepdims=True)
    actions = np.where(acts & can_aim, core.FIRST_TARGET, np.where(comes, approach(sight), core.STOP))
    return np.where(sight.is_alive[:, :n_agents], actions, core.NO_OP)


def approach(sight: Sight) -> Array:
    """A step towards the nearest that one can hurt or heal. Returns [B, N]."""
    goal = np.where(sight.wanted, sight.distance, FAR).argmin(-1)  # [B, N]
    return _step(sight.avail_actions, _of(sight.towards, goal))


def _aim(game: Battles, sight: Sight, scores: Array, idle: Array, is_sparing: bool = False) -> Array:
    """Each agent's target of least score [B, N, U] that is available, or else its `idle` action [B, N].

    is_sparing: agents choose one by one, and what those before will kill with their next shot comes last.
    """
    core, trait, n_agents = game.core, game.tables.trait, game.info.n_agents
    n_targets = sight.avail_actions.shape[-1] - core.FIRST_TARGET
    is_hurt = game.units[:, core.HEALTH] < trait[core.MAX_HEALTH]  # [B, U]
    scores, actions = np.broadcast_to(scores, sight.distance.shape), idle.copy()
    left, games = sight.vigour.copy(), np.arange(len(actions))  # left: after the shots of the agents before
    fires = game.units[:, core.COOLDOWN, :n_agents] < game.n_loops  # [B, N] within this step
    for agent, heals in enumerate(_is_healer(game)):
        units = slice(0, n_agents) if heals else slice(n_agents, n_agents + n_targets)
        n_units = units.stop - units.start
        can_aim = sight.avail_actions[:, agent, core.FIRST_TARGET : core.FIRST_TARGET + n_units]
        can_aim = can_aim & sight.wanted[:, agent, units] & (is_hurt[:, units] | ~heals)  # [B, targets]
        score = scores[:, agent, units] + DOOMED * (is_sparing & (left[:, units] <= 0))
        target = np.where(can_aim, score, FAR).argmin(-1)  # [B]
        shoots = fires[:, agent] & can_aim.any(-1) & ~heals
        left[games, units.start + target] -= shoots * _damage(game)[agent, units.start + target]
        actions[:, agent] = np.where(can_aim.any(-1), core.FIRST_TARGET + target, actions[:, agent])
    return np.where(sight.is_alive[:, :n_agents], actions, core.NO_OP)


def _threatened(game: Battles, sight: Sight) -> tuple[Array, Array]:
    """Which ranged agents should leave a melee unit [B, N], and where to [B, N, 2]."""
    core, pair, trait, n_agents = game.core, game.tables.pair, game.tables.trait, game.info.n_agents
    radii = trait[core.RADIUS, :, None] + trait[core.RADIUS]  # [U, U]
    weapon = np.where(pair[core.HIT] > 0, np.sqrt(pair[core.REACH]) - radii, 0.0)  # [U, U] range
    is_ranged = (weapon[:n_agents] > SHORT_RANGE).any(-1)  # [N]
    is_melee = ((weapon[:, :n_agents] > 0) & (weapon[:, :n_agents] <= SHORT_RANGE)).T  # [N, U]
    gap = np.where(is_melee & sight.is_alive[:, None], sight.distance - radii[:n_agents], FAR)  # [B, N, U]
    loads = game.units[:, core.COOLDOWN, :n_agents] > LOADING  # [B, N]
    return loads & is_ranged & (gap.min(-1) < CAUTION), -_of(sight.towards, gap.argmin(-1))


def _damage(game: Battles) -> Array:
    core, pair, trait = game.core, game.tables.pair, game.tables.trait
    n_hits = trait[core.HITS_NOW] + trait[core.HITS_LATER]  # [U]
    return n_hits[:, None] * np.maximum(pair[core.HIT] - trait[core.ARMOUR], 0)  # [U, U] of a whole shot


def _is_healer(game: Battles) -> Array:
    return game.tables.trait[game.core.HEAL, : game.info.n_agents] > 0  # [N]


def _of(values: Array, chosen: Array) -> Array:
    """values[b, i, chosen[b, i]]: [B, N, 2] of [B, N, U, 2]."""
    return np.take_along_axis(values, chosen[..., None, None], axis=2)[:, :, 0]


def _step(avail_actions: Array, direction: Array) -> Array:
    """The available move that leads farthest along direction [B, N, 2], or else a stop. Returns [B, N]."""
    x, y = direction[..., 0], direction[..., 1]
    along = np.stack([y, -y, x, -x], axis=-1)  # [B, N, 4]: north, south, east, west
    along = np.where(avail_actions[..., 2:6], along, -FAR)
    stop, north = 1, 2
    return np.where(along.max(-1) > 0, north + along.argmax(-1), stop)


def reference_policies(game: Battles) -> dict[str, Policy]:
    """All of them, for this game."""
    return {
        "uniform random": partial(uniform_random, game),
        "nearest enemy first": partial(nearest_first, game),
        "focus fire and kite": partial(focus_and_kite, game),
    }

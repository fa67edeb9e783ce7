"""Small battles for tests: units of any kind at chosen places."""

from unittest import mock

import numpy as np

from bn_mappo.envs.games.skirmish import Skirmish, core
from bn_mappo.envs.games.skirmish.data import MapData, build_map

MIDDLE = [16, 16]
FAR_AWAY = ["marine", 2, 2]


def scene(allies, enemies, floor="whole", batch_size=1, jitter=False, **env_args) -> Skirmish:
    """A game of these units ([name, x, y] each, a side by rising name) that has started; no enemy has orders."""
    assert all([unit[0] for unit in side] == sorted(unit[0] for unit in side) for side in (allies, enemies))
    sides = [[{"unit": name, "count": 1, "at": MIDDLE} for name, _, _ in side] for side in (allies, enemies)]
    data = MapData(allies=sides[0], enemies=sides[1], enemy_target=None, floor=floor, episode_limit=1000)
    with mock.patch("bn_mappo.envs.games.skirmish.game.load_map", return_value=build_map("scene", data)):
        game = Skirmish(batch_size, 0, **env_args)
    game.reset()
    for u, (_, x, y) in enumerate([*allies, *enemies]):
        game.units[:, [core.X, core.Y], u] = x, y
    if not jitter:
        game.tables.rule[core.JITTER_LOW] = game.tables.rule[core.JITTER_SPAN] = 0.0
    return game


def kill(game: Skirmish, *units: int) -> None:
    """These units are dead."""
    for field in (core.HEALTH, core.SHIELD):
        game.units[:, field, list(units)] = 0.0


def play(game: Skirmish, *actions: int, steps: int = 1) -> tuple[float, bool]:
    """The same action for each agent over some steps; the last reward and whether the game is over. No restart."""
    for _ in range(steps):
        reward, terminated = game.advance(np.tile(actions, (game.batch_size, 1)))
        game.clock += 1
    return float(reward[0]), bool(terminated[0])


def advance_loops(game: Skirmish, n_loops: int, scripted: bool = False) -> None:
    """Loops without orders: all go on with what they do."""
    t = game.tables
    core.play_loops(
        game.units, game.marks, game.streams, t.trait, t.pair, t.rule, game.goals, t.walkable, t.near_wall,
        game.info.n_agents, n_loops, scripted,
    )  # fmt: skip


def value(game: Skirmish, field: int, u: int) -> float:
    return float(game.units[0, field, u])

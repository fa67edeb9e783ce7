"""Whom the enemies of Skirmish attack and go after (docs/environments.md, the enemies' targets)."""

import pytest

from bn_mappo.envs.games.skirmish import Skirmish, core
from skirmish_scenes import FAR_AWAY, advance_loops, kill, play, scene, value

STOP, TARGET = core.STOP, core.FIRST_TARGET


def targets_of(game: Skirmish, enemy: int, *actions: int) -> int:
    """Whom this enemy attacks after one game loop with these actions."""
    play(game, *actions)
    return int(game.marks[0, core.TARGET, enemy])


def test_agents_acquire_nothing_and_enemies_acquire_who_does_nothing():
    game = scene([["marine", 10, 16]], [["marauder", 14, 16]])
    play(game, STOP, steps=2)
    assert value(game, core.HEALTH, 1) == 125 and value(game, core.HEALTH, 0) < 45


def test_an_enemy_leaves_who_does_nothing_for_who_attacks():
    """Rules 1 kept a target as long as it was alive and in sight; since rules 2 threats come first (docs)."""
    game = scene([["marine", 11.1, 16], ["marine", 17, 16]], [["zealot", 12, 16]], step_mul=1)
    assert targets_of(game, 2, STOP, STOP) == 0  # the nearest, and in reach
    assert targets_of(game, 2, STOP, TARGET) == 0  # it hits twice, and stands for that
    play(game, STOP, STOP, steps=5)
    assert targets_of(game, 2, STOP, TARGET) == 1
    assert targets_of(game, 2, TARGET, STOP) == 0


def test_among_equals_the_target_in_reach_is_kept_and_else_the_nearest_taken():
    """Rules 1 kept it beyond the reach of the weapon too, as long as it was within acquisition range."""
    game = scene([["marine", 10, 16], ["marine", 18.5, 16]], [["marine", 14, 16]], step_mul=1)
    assert targets_of(game, 2, STOP, STOP) == 0
    game.units[0, core.X, :2] = 14 - 5.7, 14.8
    assert targets_of(game, 2, STOP, STOP) == 0  # the other is far nearer
    game.units[0, core.X, 0] = 14 - 5.8  # out of reach, 5.75
    assert targets_of(game, 2, STOP, STOP) == 1


def test_scripted_units_look_as_far_as_five_cells_or_their_range():
    """Edge to edge: rules 2 looked half a cell farther than the range of the weapon."""
    for name, radius, scan in (
        ("marine", 0.375, 5),
        ("marauder", 0.5625, 6),
        ("zealot", 0.5, 5),
        ("stalker", 0.625, 6),
    ):
        for gap, target in ((-0.01, 0), (0.01, -1)):
            x = 10 + 0.375 + scan + radius + gap
            game = scene([["marine", 10, 16]], [[name, x, 16]], step_mul=1)
            assert targets_of(game, 1, STOP) == target, (name, gap)


def test_a_healer_is_a_threat_whatever_it_does():
    """Rules 1 had it shot last, for it cannot hurt; in the map's data it always threatens, with a marine's priority."""
    game = scene([["marine", 10, 16], ["medivac", 10.5, 16.2]], [["marine", 14, 16], FAR_AWAY], step_mul=1)
    kill(game, 3)
    assert targets_of(game, 2, STOP, STOP) == 1  # a threat; the marine does nothing
    game.marks[0, core.TARGET, 2] = -1
    play(game, TARGET, STOP)
    assert targets_of(game, 2, TARGET, STOP) == 1  # both are threats, and it has this one in reach
    game = scene([["marine", 10, 16], ["medivac", 13, 16]], [["marauder", 14, 16], FAR_AWAY], step_mul=1)
    kill(game, 3)
    assert targets_of(game, 2, STOP, STOP) == 0  # a marauder cannot shoot at what flies


def test_an_order_to_attack_the_dead_is_no_threat():
    game = scene([["marine", 13, 16], ["marine", 17, 16]], [["marine", 15, 16], ["marine", 25, 16]], step_mul=1)
    kill(game, 3)
    game.marks[0, core.TARGET, :3] = -1, 3, 0
    advance_loops(game, 1)
    assert game.marks[0, core.TARGET, 2] == 0


def shot_from_afar(*marines_at: float, answers: bool = True) -> Skirmish:
    """A stalker with the order to shoot the first of these marines, which look 5 cells far, from 5.5 (edge to edge)."""
    marines = [["marine", x, 16] for x in marines_at]
    game = scene([["stalker", 10, 16]], marines, step_mul=1, answer_attacks=answers)
    game.units[0, core.HEALTH, 1:] = game.tables.trait[core.MAX_HEALTH, 1:] = 1000
    game.marks[0, core.TARGET, 0] = 1
    return game


def loops_until_hit(game: Skirmish, unit: int) -> int:
    health = value(game, core.HEALTH, unit)
    for loop in range(100):
        if value(game, core.HEALTH, unit) < health:
            return loop
        advance_loops(game, 1)
    raise AssertionError("it was not hit")


@pytest.mark.parametrize("answers", [True, False])
def test_an_enemy_goes_after_who_hits_it_from_where_it_does_not_look(answers):
    """Since rules 4 (docs)."""
    game = shot_from_afar(16.5, answers=answers)
    loops_until_hit(game, 1)
    assert game.marks[0, core.TARGET, 1] == -1 and game.marks[0, core.PURSUED, 1] == (0 if answers else -1)
    advance_loops(game, 1)
    assert game.marks[0, core.TARGET, 1] == (0 if answers else -1)
    assert (value(game, core.X, 1) < 16.5) == answers


def test_it_gives_up_an_attacker_that_is_dead_or_out_of_sight():
    game = shot_from_afar(16.5)
    loops_until_hit(game, 1)
    game.marks[0, core.TARGET, 0] = -1
    for distance, target in ((8.9, 0), (9.1, -1)):
        game.units[0, core.X, 0] = value(game, core.X, 1) - distance
        advance_loops(game, 1)
        assert game.marks[0, core.TARGET, 1] == game.marks[0, core.PURSUED, 1] == target
    game.marks[0, core.PURSUED, 1] = 0
    game.units[0, core.X, 0] = value(game, core.X, 1) - 8
    kill(game, 0)
    advance_loops(game, 1)
    assert game.marks[0, core.TARGET, 1] == game.marks[0, core.PURSUED, 1] == -1


def test_who_is_hit_calls_for_help_within_four_cells_and_every_two_seconds():
    """CallForHelpRadius and CallForHelpPeriod of the game's data: 4 cells, and 32 game loops."""
    game = shot_from_afar(16.5, 20.4, 20.6)
    loops_until_hit(game, 1)
    assert game.marks[0, core.PURSUED].tolist() == [-1, 0, 0, -1]
    for hush, is_heard in ((1.5, False), (1.0, True)):  # loops until it may call again
        game.units[0, core.X] = 10, 16.5, 18, 18.9  # all are near
        game.marks[0, [core.TARGET, core.PURSUED], 1:] = -1
        game.units[0, core.HUSH, 1] = hush
        game.units[0, core.FLIGHT, 0], game.marks[0, core.AIM, 0] = 0.5, 1  # another hit lands in this loop
        advance_loops(game, 1)
        assert game.marks[0, core.PURSUED].tolist() == [-1, 0, *([0, 0] if is_heard else [-1, -1])]
    assert value(game, core.HUSH, 1) == 32


def test_who_dies_of_a_hit_has_called():
    game = shot_from_afar(16.5, 18)
    game.units[0, core.HEALTH, 1] = 1.0
    loops_until_hit(game, 1)
    assert value(game, core.HEALTH, 1) == 0
    assert game.marks[0, core.PURSUED].tolist() == [-1, -1, 0]

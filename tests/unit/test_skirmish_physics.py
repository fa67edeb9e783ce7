"""Skirmish's physics against numbers worked out by hand, a slow loop in plain Python, and its own symmetry."""

import math

import numpy as np
import pytest

from bn_mappo.envs.games.skirmish import Skirmish, core
from skirmish_scenes import FAR_AWAY, advance_loops, kill, play, scene, value
from slow_skirmish import SlowLoop

NO_OP, STOP, NORTH, SOUTH, EAST, WEST, TARGET = range(7)


def disarm(game: Skirmish, *units: int) -> None:
    """These units do nothing."""
    for table in (core.HIT, core.ACQUIRE):
        game.tables.pair[table, list(units)] = 0.0


@pytest.mark.parametrize(
    ("action", "field", "sign"), [(NORTH, core.Y, 1), (SOUTH, core.Y, -1), (EAST, core.X, 1), (WEST, core.X, -1)]
)
def test_a_marine_moves_1_125_cells_a_step(action, field, sign):
    game = scene([["marine", 20, 20]], [FAR_AWAY])
    for steps in (1, 2, 3):
        play(game, action)
        assert value(game, field, 0) == pytest.approx(20 + sign * steps * 1.125)
        assert value(game, core.X + core.Y - field, 0) == 20


def test_speeds_of_others_and_a_medivac_takes_its_time():
    game = scene([["stalker", 20, 20], ["zealot", 20, 10]], [FAR_AWAY])
    play(game, EAST, EAST)
    assert value(game, core.X, 0) == pytest.approx(20 + 8 * 2.9531 / 16)
    assert value(game, core.X, 1) == pytest.approx(20 + 8 * 2.25 / 16)
    game = scene([["marine", 30, 30], ["medivac", 10, 10]], [FAR_AWAY, FAR_AWAY])
    play(game, STOP, EAST)
    assert value(game, core.SPEED, 1) == pytest.approx(8 * 2.3125 / 16**2)
    assert value(game, core.X, 1) == pytest.approx(10 + (1 + 2 + 3 + 4 + 5 + 6 + 7 + 8) * 2.3125 / 16**2)
    play(game, STOP, EAST, steps=3)
    assert value(game, core.SPEED, 1) == 2.75 / 16
    play(game, STOP, STOP)
    assert value(game, core.SPEED, 1) == 0


def test_a_move_ends_two_cells_away_within_a_step_of_many_loops():
    game = scene([["marine", 20, 20]], [FAR_AWAY], step_mul=40)
    play(game, EAST)
    assert value(game, core.X, 0) == pytest.approx(22)


def test_two_marines_kill_each_other_in_the_computed_loop():
    """45 health are 8 shots of 6. Shot k begins (k - 1) * 0.8608 s after the first and leaves 0.05 s later: loop 99."""
    game = scene([["marine", 12, 16]], [["marine", 17, 16]], step_mul=1)
    shots = [1 + math.ceil(16 * (0.05 + (k - 1) * 0.8608)) for k in range(1, 9)]
    assert shots[-1] == 99
    for loop in range(1, 100):
        _, is_over = play(game, TARGET)
        n_shots = sum(shot <= loop for shot in shots)
        assert value(game, core.HEALTH, 0) == value(game, core.HEALTH, 1) == max(45 - 6 * n_shots, 0)
        assert is_over == (loop == 99)
    assert game.outcome[0] == core.DRAWN


def test_marauder_against_zealot_and_stalker():
    """A zealot is not armoured: 10 a hit, 9 on health. A stalker is: 20 a hit, 19 on health. Shields know no armour."""
    for victim, hits in (("zealot", [10] * 5 + [9] * 11 + [1]), ("stalker", [20] * 4 + [19] * 4 + [4])):
        game = scene([[victim, 12, 16]], [["marauder", 16, 16]], step_mul=24)  # a step is the marauder's period
        left = value(game, core.HEALTH, 0) + value(game, core.SHIELD, 0)
        for k, hit in enumerate(hits):
            play(game, STOP)
            left -= hit
            assert value(game, core.HEALTH, 0) + value(game, core.SHIELD, 0) == pytest.approx(left), (victim, k)
        assert value(game, core.HEALTH, 0) == 0
    game = scene([["zealot", 12, 16]], [["marauder", 16, 16]], step_mul=4)
    # a hit that breaks the shield: 4 go into it, armour takes 1 of the other 6
    game.units[0, [core.SHIELD, core.CALM], 0] = 4, 0
    play(game, STOP)
    assert (value(game, core.SHIELD, 0), value(game, core.HEALTH, 0)) == (0, 95)


def test_zealot_against_marauder_hits_twice_and_armour_counts_twice():
    """The second hit comes 0.28 s, 4.48 loops, after the first. 125 health are 18 hits of 7."""
    game = scene([["zealot", 12, 16]], [["marauder", 13.1, 16]], step_mul=1)
    health = [play(game, TARGET) and value(game, core.HEALTH, 1) for _ in range(21)]
    assert health == [118] * 5 + [111] * 15 + [104]
    loops = 21
    while value(game, core.HEALTH, 1) > 0:
        play(game, TARGET)
        loops += 1
    assert loops == 1 + math.ceil(16 * (8 * 1.2 + 0.28))  # the second hit of the ninth blow


def test_the_second_hit_of_a_zealot_is_lost_with_another_order_or_its_death_and_it_stands_for_it():
    """A unit that does nothing else, so that it keeps its target: the same order in every loop does not cancel."""
    for action, health in ((TARGET, 125 - 14), (STOP, 125 - 7), (EAST, 125 - 7)):
        game = scene([["zealot", 12, 16]], [["marauder", 13.1, 16]], step_mul=1)
        disarm(game, 1)
        play(game, TARGET)
        play(game, action, steps=8)
        assert value(game, core.HEALTH, 1) == health
    game = scene([["zealot", 12, 16]], [["marauder", 13.1, 16]], step_mul=1)
    play(game, TARGET)
    kill(game, 0)
    play(game, NO_OP, steps=8)
    assert value(game, core.HEALTH, 1) == 125 - 7
    game = scene([["zealot", 12, 16]], [["marauder", 13.1, 16]], step_mul=1)
    disarm(game, 1)
    play(game, TARGET)
    game.units[0, core.X, 1] = 16  # out of reach; the zealot follows only when it has hit again
    x = [play(game, TARGET) and value(game, core.X, 0) for _ in range(6)]
    assert x == pytest.approx([12] * 5 + [12 + 2.25 / 16]) and value(game, core.HEALTH, 1) == 125 - 14


def test_a_stalker_hits_when_it_has_wound_up_and_its_missile_has_flown():
    """0.167 s are 2.67 loops: the shot leaves in loop 1 + 2.67, so in the fourth. 5 cells less radii of 0.625 and 0.5
    are 3.875, at 18.75 per s 3.31 loops: 1 + 2.67 + 3.31 = 6.98, the seventh. The next one 23.04 later, in loop 31."""
    game = scene([["stalker", 12, 16]], [["zealot", 17, 16]], step_mul=1)
    disarm(game, 1)
    shields, shots = [], []
    for _ in range(31):
        play(game, TARGET)
        shields.append(value(game, core.SHIELD, 1))
        shots.append(game.marks[0, core.SHOT_AT, 0] == 1)
    assert shields == [50] * 6 + [40] * 23 + [40, 30]
    assert [loop for loop, leaves in enumerate(shots, 1) if leaves] == [4, 27]
    assert math.ceil(1 + 16 * (0.167 + 1.44)) == 27


def test_a_missile_lands_after_its_shooter_has_died_and_is_lost_if_its_target_has():
    for victim, shield in ((0, 40), (1, 0)):
        game = scene([["stalker", 12, 16]], [["zealot", 17, 16], ["zealot", 17, 17.5]], step_mul=1)
        disarm(game, 1, 2)
        play(game, TARGET, steps=4)
        assert value(game, core.FLIGHT, 0) > 0
        kill(game, victim)
        play(game, NO_OP if victim == 0 else STOP, steps=10)
        assert game.units[0, core.SHIELD, 1:].tolist() == [shield, 50]
        assert value(game, core.FLIGHT, 0) == 0


def test_missiles_at_a_target_that_one_of_them_kills_are_wasted():
    """Two stalkers at different distances from a zealot of 9 health: the far one's missile finds it dead. Overkill."""
    game = scene([["stalker", 12, 14], ["stalker", 13, 16]], [["zealot", 17, 16], ["zealot", 17.5, 17.5]], step_mul=1)
    disarm(game, 2, 3)
    game.units[0, [core.HEALTH, core.SHIELD, core.CALM], 2] = 9, 0, 0
    deaths = []
    for _ in range(12):
        play(game, TARGET, TARGET)
        deaths.append(value(game, core.HEALTH, 2) <= 0)
    assert deaths.index(True) == 6 and value(game, core.SHIELD, 3) == 50
    assert value(game, core.COOLDOWN, 0) > 0 and value(game, core.COOLDOWN, 1) > 0  # both have shot


@pytest.mark.parametrize("action", [STOP, EAST, TARGET + 1])
def test_another_order_cancels_a_shot_that_has_begun_and_the_weapon_stays_ready(action):
    """The stalker winds up in loops 1 to 3; an order in loop 4 comes before the shot, and costs nothing but time."""
    game = scene([["stalker", 12, 16]], [["zealot", 17, 16], ["zealot", 17, 18]], step_mul=1)
    disarm(game, 1, 2)
    play(game, TARGET, steps=3)
    assert value(game, core.WINDUP, 0) > 0
    play(game, action)
    assert game.marks[0, core.SHOT_AT, 0] == -1 and value(game, core.COOLDOWN, 0) == 0
    loops = 0
    while game.marks[0, core.SHOT_AT, 0] != 1:
        play(game, TARGET)
        loops += 1
    assert loops == 4
    assert game.units[0, core.SHIELD, 1:].tolist() == [50, 50]


def test_a_target_may_leave_to_one_cell_beyond_the_range_once_a_shot_has_begun():
    """Reach 6 + 0.625 + 0.5 = 7.125, and 8.125 in the middle of a shot; a colossus has no such slop."""
    for name, x, shoots in (("stalker", 8.1, True), ("stalker", 8.2, False), ("colossus", 7.6, False)):
        game = scene([[name, 8, 16]], [["zealot", 13, 16]], step_mul=1)
        disarm(game, 1)
        play(game, TARGET)
        assert value(game, core.WINDUP, 0) > 0
        game.units[0, core.X, 1] = 8 + x
        advance_loops(game, 3)  # no new order
        assert (game.marks[0, core.SHOT_AT, 0] == 1) == shoots
        assert (value(game, core.X, 0) > 8) != shoots  # it goes after its target, or stands and shoots


def test_a_battle_that_is_restored_goes_on_with_its_missiles_and_the_shots_that_have_begun():
    game = scene([["stalker", 12, 16], ["zealot", 18, 16]], [["stalker", 17, 16], ["zealot", 19, 16]], step_mul=1)
    play(game, TARGET, TARGET + 1, steps=3)
    begun = game.state_dict()
    assert game.units[0, core.WINDUP, [0, 2]].all() and game.units[0, core.FLIGHT, [1, 3]].all()
    play(game, TARGET, TARGET + 1, steps=12)
    expected = game.state_dict()["fields"]
    game.load_state_dict(begun)
    play(game, TARGET, TARGET + 1, steps=12)
    for name, values in game.state_dict()["fields"].items():
        np.testing.assert_array_equal(values, expected[name])
    assert (expected["units"][0, core.SHIELD, 1:] < game.tables.trait[core.MAX_SHIELD, 1:]).all()


def test_a_colossus_hits_all_on_the_ground_that_touch_a_line_across_its_shot_twice():
    """The line is 2.5 long and 0.3 wide, and a marine's radius is 0.375: so 1.25 + 0.525 along it, 0.525 beside it.

    Its ends are round. Two beams of 20 kill a marine of 45 health nearly; armour 1 takes 1 of each on a marauder's 125.
    """
    places = [(15, 20), (16.76, 20), (16.78, 20), (15, 20.52), (15, 20.53), (16.6, 20.38), (16.6, 20.4)]
    marines = [["marine", x, y] for x, y in places]
    game = scene(
        [["marauder", 13.6, 20], *marines, ["medivac", 15.2, 20.2]],
        [["colossus", 15, 15], *[["stalker", 2, 2]] * 8],
        step_mul=1,
    )
    kill(game, *range(10, 18))
    game.tables.rule[core.LARGEST_PUSH] = 0.0
    play(game, *[STOP] * 9, steps=9)
    assert (game.units[0, core.HEALTH, :9] == game.tables.trait[core.MAX_HEALTH, :9]).all()
    play(game, *[STOP] * 9)  # 1 + 16 * (0.0832 + 0.42) = 9.05
    assert game.units[0, core.HEALTH, :9].tolist() == [125 - 2 * 19, 5, 5, 45, 5, 45, 5, 45, 150]


def test_a_line_turns_with_the_shot_and_spares_the_side_of_the_colossus():
    d = 5 / 2**0.5
    game = scene(
        [["colossus", 10, 10], ["stalker", 10 + d + 1, 10 + d - 1]],
        [["zealot", 10 + d, 10 + d], ["zealot", 10 + d + 0.9, 10 + d - 0.9], ["zealot", 10 + d + 0.9, 10 + d + 0.9]],
        step_mul=1,
    )
    game.tables.rule[core.LARGEST_PUSH] = 0.0
    disarm(game, 2, 3, 4)
    play(game, TARGET, STOP, steps=10)
    assert game.units[0, core.SHIELD, 2:].tolist() == [10, 10, 50]
    assert value(game, core.SHIELD, 1) == 80


def test_the_beams_of_a_colossus_go_on_where_the_target_falls_and_end_with_the_colossus():
    for victim, shields in ((1, [0, 10, 10]), (0, [50, 50, 50])):
        zealots = [["zealot", 15, 20], ["zealot", 16, 20], ["zealot", 14, 20]]
        game = scene([["colossus", 15, 15]], zealots, step_mul=1)
        game.tables.rule[core.LARGEST_PUSH] = 0.0
        disarm(game, 1, 2, 3)
        play(game, TARGET, steps=4)
        kill(game, victim)
        while value(game, core.FLIGHT, 0) > 0:
            mark = game.marks[0, core.TARGET, 0]
            advance_loops(game, 1)
            assert mark == 1 or victim == 0
        assert game.units[0, core.SHIELD, 1:].tolist() == shields


def test_units_on_the_ground_walk_under_a_colossus_and_it_goes_round_colossi_and_those_who_fly():
    allies = [["colossus", 16, 16], ["zealot", 16, 16]]
    game = scene(allies, [["colossus", 16.2, 20], ["zealot", 2, 2]], step_mul=1)
    play(game, STOP, EAST)
    assert value(game, core.X, 0) == 16 and value(game, core.X, 1) == 16 + 2.25 / 16
    game.units[0, [core.X, core.Y], 2] = 16.2, 16
    play(game, STOP, STOP)
    assert value(game, core.X, 0) == pytest.approx(15.75) and value(game, core.X, 2) > 16.2
    play(game, STOP, STOP, steps=30)
    assert value(game, core.X, 2) - value(game, core.X, 0) >= 2 * 0.75 - 1e-9
    touch = scene([["colossus", 16, 16]], [["medivac", 20, 16]]).tables.pair[core.TOUCH]
    assert touch[0, 1] > 0


def test_range_is_from_edge_to_edge_and_an_attacker_walks_until_it_has_it():
    """Reach 5 + 2 * 0.375 = 5.75; from 6.0 it takes two loops of 0.140625, and it shoots 0.8 loops after the third."""
    game = scene([["marine", 10, 16]], [["marine", 16, 16]], step_mul=1)
    game.tables.pair[core.HIT, 1] = game.tables.pair[core.ACQUIRE, 1] = 0.0  # a target that does nothing
    health = [play(game, TARGET) and value(game, core.HEALTH, 1) for _ in range(4)]
    assert health == [45, 45, 45, 39]
    assert value(game, core.X, 0) == pytest.approx(10 + 2 * 2.25 / 16)


def test_a_weapon_that_was_ready_long_ago_needs_its_whole_period():
    game = scene([["marine", 12, 16]], [["marauder", 17, 16]], step_mul=1)
    game.tables.pair[core.HIT, 1] = game.tables.pair[core.ACQUIRE, 1] = 0.0
    play(game, STOP, steps=20)
    health = [play(game, TARGET) and value(game, core.HEALTH, 1) for _ in range(16)]
    assert health == [125] + [120] * 14 + [115]


def test_shields_wait_ten_seconds_after_the_last_harm():
    game = scene([["zealot", 12, 16]], [FAR_AWAY], step_mul=1)
    game.units[0, [core.SHIELD, core.CALM], 0] = 20, 0
    play(game, STOP, steps=159)
    assert value(game, core.SHIELD, 0) == 20
    play(game, STOP)
    assert value(game, core.SHIELD, 0) == 20 + 2 / 16
    play(game, STOP, steps=300)
    assert value(game, core.SHIELD, 0) == 50


def test_health_of_zerg_comes_back_and_ends_at_the_full():
    game = scene([["hydralisk", 12, 16]], [FAR_AWAY])
    game.units[0, core.HEALTH, 0] = 60
    play(game, STOP, steps=2)
    assert value(game, core.HEALTH, 0) == pytest.approx(60.2734)
    play(game, STOP, steps=400)
    assert value(game, core.HEALTH, 0) == 80


def test_a_medivac_heals_nine_a_second_for_three_energy():
    """And regains 0.5625 energy a second; without energy it heals what it regains, times three."""
    game = scene([["marauder", 12, 16], ["medivac", 12, 18]], [FAR_AWAY, FAR_AWAY])
    game.units[0, core.HEALTH, 0] = 60
    play(game, STOP, TARGET, steps=2)
    assert value(game, core.HEALTH, 0) == pytest.approx(69)
    assert value(game, core.ENERGY, 1) == pytest.approx(50 - 3 + 0.5625)
    game.n_loops, game.units[0, core.ENERGY, 1] = 1, 0.0
    play(game, STOP, TARGET)
    assert value(game, core.HEALTH, 0) == pytest.approx(69)
    play(game, STOP, TARGET)
    assert value(game, core.HEALTH, 0) == pytest.approx(69 + 3 * 0.5625 / 16)
    game.units[0, [core.HEALTH, core.ENERGY], [0, 1]] = 125, 50
    play(game, STOP, TARGET)
    assert (value(game, core.HEALTH, 0), value(game, core.ENERGY, 1)) == (125, 50 + 0.5625 / 16)


def test_units_push_each_other_out_and_walls_hold():
    game = scene([["marine", 16, 16], ["marine", 16.5, 16], ["medivac", 16.2, 16]], [FAR_AWAY] * 3, step_mul=1)
    play(game, STOP, STOP, STOP)
    assert game.units[0, core.X, :3].tolist() == pytest.approx([15.875, 16.625, 16.2])  # one flies, and touches nobody
    game = scene([["marine", 9, 23.9], ["medivac", 12, 23.9]], [FAR_AWAY] * 2, floor="strip")
    game.units[0, core.SPEED, 1] = 2.75 / 16
    play(game, NORTH, NORTH, steps=1)
    assert game.units[0, core.Y, :2].tolist() == pytest.approx([25 - 0.375, 23.9 + 8 * 2.75 / 16])
    assert not game.avail_actions()[0, 0, NORTH] and game.avail_actions()[0, 0, [SOUTH, EAST, WEST]].all()


def test_units_keep_each_other_off_by_less_than_the_radius_that_ranges_count_with():
    """Zealots touch at 2 * 0.375, and reach each other at 0.1 + 2 * 0.5."""
    for gap, stays in ((0.76, True), (0.74, False)):
        game = scene([["zealot", 16, 16], ["zealot", 16 + gap, 16]], [FAR_AWAY], step_mul=1)
        play(game, STOP, STOP)
        assert (value(game, core.X, 1) - value(game, core.X, 0) == pytest.approx(gap)) == stays
    assert game.tables.pair[core.REACH, 0, 2] == pytest.approx((0.1 + 0.5 + 0.375) ** 2)


def test_those_who_fly_stay_on_the_map():
    for x, y, action in ((20, 31, NORTH), (20, 1, SOUTH), (31, 20, EAST), (1, 20, WEST)):
        game = scene([["marine", 20, 20], ["medivac", x, y]], [["zealot", 10, 10]] * 2, step_mul=1)
        game.units[0, core.GOAL_X, 1], game.units[0, core.GOAL_Y, 1] = x + 2 * (x - 16), y + 2 * (y - 16)
        game.marks[0, core.HAS_GOAL, 1] = 1
        advance_loops(game, 40)
        place = game.units[0, core.X if action in (EAST, WEST) else core.Y, 1]
        assert place == (0.75 if action in (SOUTH, WEST) else 32 - 0.75)


def test_two_in_one_place_part():
    game = scene([["marine", 16, 16], ["marine", 16, 16]], [FAR_AWAY], step_mul=1)
    play(game, STOP, STOP, steps=40)
    assert abs(value(game, core.X, 0) - value(game, core.X, 1)) >= 0.75 - 1e-9


TERRAN = [["marauder", 8, 15], ["marine", 9, 13], ["marine", 10, 16], ["marine", 9.2, 18], ["medivac", 7, 16.5]]
PROTOSS = [["colossus", 8, 16.2], ["stalker", 8, 15], ["stalker", 9, 18], ["zealot", 9.3, 16], ["zealot", 10, 13]]


@pytest.mark.parametrize("side", [TERRAN, PROTOSS])
def test_mirrored_scripted_sides_stay_mirrored(side):
    """No jitter; threats from a snapshot. Were they read while the units decide one by one, the sides would differ."""
    other = [[name, 32 - x, y] for name, x, y in side]
    game, n_agents = scene(side, other, step_mul=1), len(side)
    game.allies_are_scripted = True
    game.goals[:, 0], game.goals[:, 1] = [22, 16, 1], [10, 16, 1]
    while game.outcome[0] == core.RUNNING and game.clock[0] < 1000:
        play(game, *[STOP] * n_agents)
        allies, enemies = game.units[0, :, :n_agents], game.units[0, :, n_agents:]
        np.testing.assert_allclose(allies[core.X], 32 - enemies[core.X], atol=1e-6)
        for field in (core.Y, core.HEALTH, core.ENERGY, core.COOLDOWN, core.WINDUP, core.FLIGHT):
            np.testing.assert_allclose(allies[field], enemies[field], atol=1e-6)
    assert game.outcome[0] == core.DRAWN  # all fighters of both sides fell in one loop


def test_a_side_of_medivacs_alone_has_lost():
    game = Skirmish(1, 0, map_name="MMM2")
    game.reset()
    kill(game, *range(10, 21))
    reward, is_over = play(game, *[STOP] * 10)
    assert is_over and game.episode_info()["battle_won"][0] == 1
    assert reward == pytest.approx(200 * 20 / 1205)
    game.reset()
    kill(game, *range(9))
    assert play(game, *[NO_OP] * 9, STOP) == (0.0, True)
    info = {name: float(values[0]) for name, values in game.episode_info().items()}
    assert info == {"battle_won": 0, "dead_allies": 9, "dead_enemies": 0}


SLOW_MAPS = ["MMM2", "2s3z", "6h_vs_8z", "1c3s5z", "corridor"]


def random_state(game: Skirmish, rng: np.random.Generator) -> None:
    """Anything that the physics may meet: crowds, walls, wounds, weapons that load, targets near, far and dead."""
    n_agents, n_units = game.info.n_agents, game.units.shape[2]
    cells = np.argwhere(game.map.walkable)
    for b in range(game.batch_size):
        middle = cells[rng.integers(len(cells))]
        near = cells[np.argsort(((cells - middle) ** 2).sum(-1))[: rng.integers(n_units // 2, 6 * n_units)]]
        places = near[rng.integers(len(near), size=n_units)] + rng.random((n_units, 2))
        game.units[b, [core.X, core.Y]] = places.T
        trait = game.tables.trait
        game.units[b, core.HEALTH] = trait[core.MAX_HEALTH] * rng.choice([0, 0.1, 0.5, 1], n_units)
        game.units[b, core.SHIELD] = trait[core.MAX_SHIELD] * rng.random(n_units) * (game.units[b, core.HEALTH] > 0)
        game.units[b, core.ENERGY] = trait[core.MAX_ENERGY] * rng.choice([0, 0.001, 0.5], n_units)
        game.units[b, core.COOLDOWN] = rng.integers(0, 10, n_units) * rng.random(n_units)
        for field, needs in ((core.WINDUP, core.DAMAGE_POINT), (core.FLIGHT, core.HITS_LATER)):
            game.units[b, field] = (trait[needs] > 0) * rng.choice([0, 1, 4, 8], n_units) * rng.random(n_units)
        game.units[b, core.CALM] = rng.integers(150, 170, n_units)
        game.units[b, core.SPEED] = trait[core.STEP] * rng.random(n_units)
        game.units[b, [core.GOAL_X, core.GOAL_Y]] = (places + rng.integers(-2, 3, (n_units, 2))).T
        game.marks[b, core.HAS_GOAL] = rng.integers(0, 2, n_units)
        for u in range(n_units):
            known = np.append(-1, np.flatnonzero(game.tables.pair[core.REACH, u] > 0))
            game.marks[b, core.TARGET, u] = game.marks[b, core.AIM, u] = rng.choice(known)
            if rng.random() < 0.2:
                game.marks[b, core.TARGET, u] = rng.choice(known)
            foes = np.append(-1, np.flatnonzero(game.tables.pair[core.HIT, u] > 0))
            game.marks[b, core.PURSUED, u] = rng.choice(foes)
        game.units[b, core.HUSH] = rng.choice([0, 0.5, 1, 20], n_units)
        game.units[b, core.FLIGHT, game.marks[b, core.AIM] < 0] = 0.0
    assert n_agents < n_units


@pytest.mark.parametrize("map_name", SLOW_MAPS)
@pytest.mark.parametrize("scripted", [False, True])
def test_the_compiled_loop_equals_the_slow_one_to_the_last_bit(map_name, scripted):
    game, n_loops, rng = Skirmish(24, 5, map_name=map_name), 6, np.random.default_rng(3)
    game.reset()
    random_state(game, rng)
    slow = [SlowLoop(game, b, scripted) for b in range(game.batch_size)]
    for loop in range(n_loops):
        advance_loops(game, 1, scripted)
        for b, one in enumerate(slow):
            one.play()
            for k, name in enumerate(core.FIELDS):
                assert game.units[b, k].tolist() == one.unit[name], (loop, b, name)
            for k, name in enumerate(core.MARKS):
                assert game.marks[b, k].tolist() == one.mark[name], (loop, b, name)
            assert int(game.streams[b]) == one.stream


@pytest.mark.parametrize("map_name", ["3m", "8m", "2s3z", pytest.param("MMM", marks=pytest.mark.slow)])
def test_equal_scripts_win_equally_often(map_name):
    """2,000 games: the deviation of the share is 1.1 %."""
    game = Skirmish(2000, 11, map_name=map_name)
    game.allies_are_scripted = True
    game.reset()
    outcome, actions = np.zeros(2000, dtype=int), np.ones((2000, game.info.n_agents), dtype=np.int64)
    for _ in range(game.info.episode_limit):
        game.advance(actions)
        outcome = np.where(outcome == core.RUNNING, game.outcome, outcome)
    won, lost = (outcome == core.WON).sum(), (outcome == core.LOST).sum()
    assert won + lost > 1900
    assert 0.47 < won / (won + lost) < 0.53

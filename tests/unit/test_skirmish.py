"""Skirmish as an environment: sizes, fields, rewards, infos, seeds, scripts, random play on every map."""

from functools import partial

import numpy as np
import pytest
from pydantic import ValidationError

from bn_mappo.core.compiling import compiled
from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.games.skirmish import Skirmish, core
from bn_mappo.envs.games.skirmish.data import Rules, load_map, load_rules, map_names
from bn_mappo.envs.games.skirmish.orders import attack_closest, fight, stay_with_closest
from bn_mappo.envs.games.skirmish.scripted import alternate_fire
from bn_mappo.envs.references import play_outcomes, reference_outcomes
from bn_mappo.envs.registry import check_env_args
from skirmish_scenes import kill, play, scene

NO_OP, STOP, NORTH, SOUTH, EAST, WEST, TARGET = range(7)
FAR_AWAY = ["marine", 2, 2]
HARD = ["27m_vs_30m", "3s5z_vs_3s6z", "3s_vs_5z", "5m_vs_6m", "6h_vs_8z", "MMM2", "corridor"]
SIZES = {  # observation, state, actions: from SMAC's own class
    "MMM2": (176, 322, 18), "6h_vs_8z": (78, 140, 14), "3m": (30, 48, 9), "8m": (80, 168, 14), "2s3z": (80, 120, 11),
    "5m_vs_6m": (55, 98, 12), "corridor": (156, 282, 30), "27m_vs_30m": (285, 1170, 36),
}  # fmt: skip
MAPS = {  # agents, enemies, limit
    "3m": (3, 3, 60), "8m": (8, 8, 120), "25m": (25, 25, 150), "5m_vs_6m": (5, 6, 70), "8m_vs_9m": (8, 9, 120),
    "10m_vs_11m": (10, 11, 150), "27m_vs_30m": (27, 30, 180), "MMM": (10, 10, 150), "MMM2": (10, 12, 180),
    "2s3z": (5, 5, 120), "3s5z": (8, 8, 150), "3s5z_vs_3s6z": (8, 9, 170), "1c3s5z": (9, 9, 180),
    "3s_vs_3z": (3, 3, 150), "3s_vs_4z": (3, 4, 200), "3s_vs_5z": (3, 5, 250), "6h_vs_8z": (6, 8, 150),
    "2m_vs_1z": (2, 1, 150), "6h_vs_5z": (6, 5, 150), "corridor": (6, 24, 400),
}  # fmt: skip


@pytest.mark.parametrize("map_name", SIZES)
def test_sizes_are_those_of_smac(map_name):
    info = Skirmish(1, 0, map_name=map_name).info  # with last actions in the state, as in SMAC
    assert (info.obs_dim, info.state_dim, info.n_actions) == SIZES[map_name]


def test_sizes_without_last_actions():
    assert Skirmish(1, 0, map_name="MMM2", state_last_action=False).info.state_dim == 142
    assert Skirmish(1, 0, map_name="6h_vs_8z", state_last_action=False).info.state_dim == 56


def test_maps_on_offer():
    assert sorted(MAPS) == map_names()
    for map_name, facts in MAPS.items():
        info = Skirmish(1, 0, map_name=map_name).info
        assert (info.n_agents, info.n_actions - 6, info.episode_limit) == facts


def test_an_unknown_map_is_answered_with_the_list_and_the_nearest():
    with pytest.raises(ConfigError, match=r"(?s)'MMM3'.*Did you mean 'MMM2?'.*3m.*corridor"):
        Skirmish(1, 0, map_name="MMM3")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("difficulty", "9"),
        ("obs_terrain_height", True),
        ("step_mul", 0),
        ("move_amount", 0.0),
        ("reward_scale_rate", -1.0),
    ],
)
def test_what_cannot_be_is_refused_by_name(argument, value):
    with pytest.raises(ConfigError, match=argument):
        Skirmish(1, 0, **check_env_args("skirmish", {argument: value}))


@pytest.mark.parametrize(
    ("weapon", "message"),
    [
        ({"hits": [0.1, 0.2]}, "land at one time"),
        ({"hits": [0, 0.2], "missile_speed": 10}, "land at one time"),
        ({"damage_point": 1.2}, "within the period"),
        ({"hits": [0.95]}, "must have landed before the next"),
        ({"missile_speed": 7.0}, "must have landed before the next"),  # 6 + 1 cells take the whole second
    ],
)
def test_a_weapon_has_one_shot_on_its_way(weapon, message):
    rules = load_rules().model_dump()
    rules["units"] = {"marine": load_rules().units["marine"].model_dump()}
    plain = {"damage": 6, "period": 1.0, "damage_point": 0.0, "range": 6, "targets": ["ground"]}
    rules["units"]["marine"]["weapon"] = plain
    Rules.model_validate(rules)
    rules["units"]["marine"]["weapon"] = {**plain, **weapon}
    with pytest.raises(ValidationError, match=message):
        Rules.model_validate(rules)


def test_agents_are_ordered_by_type_and_place():
    assert [name for _, name, _ in load_map("MMM2").allies] == ["marauder"] * 2 + ["marine"] * 7 + ["medivac"]
    game = Skirmish(20, 0, map_name="MMM2")
    game.reset()
    for group in (slice(0, 2), slice(2, 9), slice(10, 13), slice(13, 21)):
        assert (np.diff(game.units[:, core.X, group], axis=1) >= 0).all()


def test_every_field_of_an_observation():
    """Two marines and a medivac against a marauder out of reach, a marine in reach and a medivac out of sight."""
    game = scene(
        [["marine", 10, 10], ["marine", 13, 14], ["medivac", 10, 18.9]],
        [["marauder", 17, 10], ["marine", 13, 6], ["medivac", 10, 1]],
        state_last_action=True,
    )
    game.units[0, core.HEALTH, [1, 3]] = 15, 25
    obs, state, avail, _ = game.observe()
    own_moves = [1, 1, 1, 1]
    enemies = [
        [0, 7 / 9, 7 / 9, 0, 25 / 125, 1, 0, 0],
        [1, 5 / 9, 3 / 9, -4 / 9, 1, 0, 1, 0],
        [0] * 8,
    ]  # 9 away: unseen
    allies = [[1, 5 / 9, 3 / 9, 4 / 9, 15 / 45, 0, 1, 0], [1, 8.9 / 9, 0, 8.9 / 9, 1, 0, 0, 1]]
    expected = np.concatenate([own_moves, *enemies, *allies, [1, 0, 1, 0]])
    np.testing.assert_allclose(obs[0, 0], expected, rtol=1e-6)
    assert avail[0, 0].tolist() == [False, True, True, True, True, True, False, True, False]
    # the medivac's targets are its allies, and the enemies' first fields repeat them: action 6 + k, not enemy k
    assert avail[0, 2, TARGET:].tolist() == [False, True, False]
    seen = obs[0, 2, 4:28].reshape(3, 8)
    np.testing.assert_allclose(seen, 0)  # no enemy in sight, so nothing of it shows ...
    game.units[0, [core.X, core.Y], 4] = 10, 14
    seen = game.observe().obs[0, 2, 4:28].reshape(3, 8)
    np.testing.assert_allclose(seen[1], [1, 4.9 / 9, 0, -4.9 / 9, 1, 0, 1, 0], rtol=1e-6)  # ... and here it does
    ally = [[15 / 45 if u == 1 else 1, 0, (x - 16) / 32, (y - 16) / 32] for u, x, y in ((0, 10, 10), (1, 13, 14))]
    units = [[*ally[0], 0, 1, 0], [*ally[1], 0, 1, 0], [1, 50 / 200, -6 / 32, 2.9 / 32, 0, 0, 1]]
    foes = [[0.2, 1 / 32, -6 / 32, 1, 0, 0], [1, -3 / 32, -10 / 32, 0, 1, 0], [1, -6 / 32, -15 / 32, 0, 0, 1]]
    np.testing.assert_allclose(state[0], np.concatenate([*units, *foes, np.zeros(3 * 9)]), rtol=1e-6)


def test_shields_cooldowns_and_last_actions_show():
    shown = {"obs_last_action": True, "state_last_action": True}
    game = scene([["zealot", 10, 10], ["zealot", 20, 20]], [["zealot", 11.05, 10]], step_mul=1, **shown)
    game.units[0, core.SHIELD, 1] = 25
    play(game, TARGET, NORTH)
    obs, state, *_ = game.observe()
    assert game.info.obs_dim == 4 + 6 + (6 + 7) + 2
    np.testing.assert_allclose(obs[0, 0, 4:10], [1, 1.05 / 9, 1.05 / 9, 0, 1, 42 / 50], rtol=1e-6)
    np.testing.assert_allclose(obs[0, 0, -2:], [1, 42 / 50], rtol=1e-6)  # both have hit once
    np.testing.assert_allclose(obs[0, 0, 10:23], 0)  # the other one is not in sight
    np.testing.assert_allclose(state[0, :5], [1, 1.2 * 16 / 22, -6 / 32, -6 / 32, 42 / 50], rtol=1e-6)
    np.testing.assert_allclose(state[0, 9], (25 + 2 / 16) / 50)  # unharmed for long, so it regenerates
    assert state[0, 14:].reshape(2, 7).argmax(-1).tolist() == [TARGET, NORTH] and state[0, 14:].sum() == 2
    game.units[0, [core.X, core.Y], 1] = 12, 12
    np.testing.assert_allclose(game.observe().obs[0, 0, 16:23], np.eye(7)[NORTH])


def test_the_dead_see_nothing_and_do_nothing():
    game = scene([["marine", 10, 10], ["marine", 11, 10]], [["marine", 12, 12]], obs_timestep_number=True)
    kill(game, 0)
    game.clock[0] = 500
    obs, state, avail, _ = game.observe()
    assert obs[0, 0, :-1].tolist() == [0] * (game.info.obs_dim - 1) and obs[0, 0, -1] == 0.5
    assert state[0, :4].tolist() == [0] * 4
    assert avail[0, 0].tolist() == [True] + [False] * 6 and not avail[0, 1, NO_OP]
    np.testing.assert_allclose(obs[0, 1, 9:14], 0)


def permuted(game: Skirmish, order: list[int]) -> Skirmish:
    """The same battle with the agents in other slots: slot i holds the former agent order[i]."""
    other = Skirmish(game.batch_size, 0, map_name="3s5z")
    other.load_state_dict(game.state_dict())
    units = [*order, *range(len(order), game.units.shape[2])]
    other.units, other.marks = game.units[:, :, units].copy(), game.marks[:, :, units].copy()
    new_slot = np.append(np.argsort(units), -1)
    for mark in (core.TARGET, core.SHOT_AT, core.AIM):
        other.marks[:, mark] = new_slot[other.marks[:, mark]]
    return other


def test_permuting_agents_of_a_type_permutes_observations_and_futures():
    game, rng, n_agents, width = Skirmish(8, 0, map_name="3s5z"), np.random.default_rng(0), 8, 8
    order = [2, 0, 1, 7, 4, 3, 6, 5]  # stalkers are 0 to 2, zealots 3 to 7
    observation = game.reset()
    for _ in range(20):
        scores = rng.random(observation.avail_actions.shape)
        observation = game.step((scores * observation.avail_actions).argmax(-1)).observation
    other = permuted(game, order)
    for one in (game, other):  # jitter is drawn in the order of slots
        one.tables.rule[core.JITTER_LOW] = one.tables.rule[core.JITTER_SPAN] = 0.0
    for _ in range(5):
        first, second = game.observe(), other.observe()
        np.testing.assert_array_equal(second.avail_actions, first.avail_actions[:, order])
        before_allies = 4 + 8 * width
        own = slice(before_allies + 7 * width, None)
        np.testing.assert_allclose(second.obs[..., :before_allies], first.obs[:, order][..., :before_allies], atol=1e-5)
        np.testing.assert_allclose(second.obs[..., own], first.obs[:, order][..., own], atol=1e-5)
        for i, agent in enumerate(order):
            blocks = {}
            for name, obs, viewer in (("new", second.obs, i), ("old", first.obs, agent)):
                rows = obs[:, viewer, before_allies : own.start].reshape(8, 7, width)
                others = [j for j in range(n_agents) if j != viewer]
                slots = [order[j] if name == "new" else j for j in others]
                blocks[name] = {slot: rows[:, k] for k, slot in enumerate(slots)}
            for slot, rows in blocks["old"].items():
                np.testing.assert_allclose(blocks["new"][slot], rows, atol=1e-5)
        scores = rng.random(first.avail_actions.shape)
        actions = (scores * first.avail_actions).argmax(-1)
        game.advance(actions)
        other.advance(actions[:, order])
    assert (game.units[:, core.HEALTH, :n_agents] > 0).any()


def test_rewards_by_hand():
    """3m: at most 3 * 10 + 200 + 3 * 45 = 365, scaled to 20; MMM2 1205 and 6h_vs_8z 1480."""
    assert [Skirmish(1, 0, map_name=name).max_reward for name in ("3m", "MMM2", "6h_vs_8z")] == [365, 1205, 1480]

    def reward(**env_args) -> float:
        game = Skirmish(1, 0, map_name="3m", step_mul=2, **env_args)  # a marine's first shot leaves in loop 2
        game.reset()
        game.units[0, core.X] = [9, 9, 9, 14, 30, 30]
        game.units[0, core.Y] = [15, 16, 17, 16, 10, 22]
        game.units[0, core.HEALTH, 3] = 12
        game.units[0, core.HEALTH, 1] = 6
        return play(game, TARGET, TARGET, TARGET)[0]  # three shots kill it; its own kills the nearest

    assert reward() == pytest.approx((12 + 10) * 20 / 365)
    assert reward(reward_scale=False, reward_death_value=3.0) == pytest.approx(12 + 3)
    assert reward(reward_only_positive=False, reward_scale=False) == pytest.approx(12 + 10 - 0.5 * (6 + 10))
    assert reward(reward_sparse=True) == 0


def test_regenerated_shields_pay_unless_told_otherwise():
    for pays, reward in ((True, 2 / 16), (False, 0.0)):
        args = {"reward_shield_regen": pays, "reward_scale": False, "step_mul": 1}
        game = scene([["marine", 2, 2]], [["zealot", 20, 20]], **args)
        game.units[0, core.SHIELD, 1] = 10
        assert play(game, STOP)[0] == reward


def test_the_reward_is_the_modulus_of_harm_and_kills_together():
    """A zealot of 3 health is killed, two others regain 5 of their shields each: abs(3 - 10 + 10), as SMAC has it.

    Rules 1 took abs(3 - 10) + 10. Without pay for what enemies regain: max(3 - 10, 0) + 10.
    """
    for pays, reward in ((True, 3.0), (False, 10.0)):
        args = {"reward_shield_regen": pays, "reward_scale": False, "step_mul": 40}
        game = scene([["marine", 10, 10]], [["zealot", 15, 10], ["zealot", 26, 26], ["zealot", 29, 29]], **args)
        game.units[0, core.SHIELD, 1:] = 0, 10, 10
        game.units[0, core.HEALTH, 1] = 3
        assert play(game, TARGET)[0] == pytest.approx(reward)


@pytest.mark.parametrize(("args", "reward"), [({"reward_sparse": True}, -1), ({"reward_defeat": -7.0}, 4 + 10 - 7)])
def test_both_sides_dead_is_a_defeat(args, reward):
    game = scene([["marine", 10, 10]], [["marine", 14, 10]], reward_scale=False, step_mul=2, **args)
    game.units[0, core.HEALTH] = 4
    assert play(game, TARGET) == (reward, True)
    assert game.outcome[0] == core.DRAWN and game.episode_info()["battle_won"] == 0


def test_the_zealot_of_2m_vs_1z_comes_to_a_random_point_between_the_marines():
    game = Skirmish(500, 0, map_name="2m_vs_1z")
    game.reset()
    first = game.goals[:, 1].copy()
    assert (first[:, 1:] == [12, 1]).all() and 13 <= first[:, 0].min() < 13.2 and 18.8 < first[:, 0].max() <= 19
    assert abs(first[:, 0].mean() - 16) < 0.25
    game.start(np.arange(250))
    assert (game.goals[:250, 1, 0] != first[:250, 0]).all()
    np.testing.assert_array_equal(game.goals[250:, 1], first[250:])
    game = Skirmish(2, 0, map_name="3m")
    game.reset()
    assert game.goals[:, 1].tolist() == [[9, 16, 1]] * 2


def test_alternating_fire_wins_2m_vs_1z_without_losses():
    """SMAC's documentation names this trick for the map, and a public script plays it without damage (calibration)."""
    game = Skirmish(200, 0, map_name="2m_vs_1z")
    outcomes = play_outcomes(game, partial(alternate_fire, game), 0)
    assert outcomes["battle_won"].all() and not outcomes["dead_allies"].any()


def test_attacking_the_closest_wins_6h_vs_5z():
    """In the real game a public script wins 10 of 10 with a score of 0.653 (benchmarks/calibration.yaml).

    Here it wins 83 %, with 0.58: battles in which both sides stand and fight are harder than in the real game.
    """
    game = Skirmish(300, 0, map_name="6h_vs_5z")
    battle = fight(game, partial(attack_closest, game))
    assert battle.won.mean() > 0.75
    assert 0.55 < battle.score.mean() < 0.69


def test_smacs_own_script_stays_with_the_closest_enemy_on_the_whole_map_until_it_is_dead():
    """Unlike that of a unit, its choice knows no sight and no range; a marauder passes over what flies."""
    allies = [["marauder", 4, 4], ["marine", 4, 8]]
    game = scene(allies, [["marine", 28, 4], ["marine", 29, 28], ["medivac", 20, 6]])
    orders = stay_with_closest(game)
    assert orders().tolist() == [[2, 4]]
    game.units[0, [core.X, core.Y], 3] = 6, 6  # another comes near
    assert orders().tolist() == [[2, 4]]
    kill(game, 4)
    assert orders().tolist() == [[2, 3]]
    kill(game, 2)
    assert orders().tolist() == [[3, 3]]
    kill(game, 3)
    assert orders().tolist() == [[-1, -1]]


def test_smacs_own_script_heals_the_closest_of_the_wounded_until_it_is_well():
    allies = [["marauder", 20, 20], ["marine", 10, 10], ["medivac", 4, 4], ["medivac", 5, 5]]
    game = scene(allies, [["marine", 30, 30]] * 4)
    orders = stay_with_closest(game)
    game.units[0, core.HEALTH, 3] = 10  # medivacs heal no medivacs
    assert orders()[0, 2:].tolist() == [-1, -1]
    game.units[0, core.HEALTH, 0] = 100
    assert orders()[0, 2:].tolist() == [0, 0]
    game.units[0, core.HEALTH, 1] = 10  # nearer and weaker, but it has a patient
    assert orders()[0, 2:].tolist() == [0, 0]
    game.units[0, core.HEALTH, 0] = 125
    assert orders()[0, 2:].tolist() == [1, 1]
    kill(game, 1)
    assert orders()[0, 2:].tolist() == [-1, -1]


@pytest.mark.parametrize("map_name", sorted(MAPS))
@pytest.mark.parametrize("grid", [0.5, 0.25])
def test_a_fixed_start_is_alike_in_all_episodes_and_overlaps_nowhere(map_name, grid):
    game = Skirmish(2, 0, map_name=map_name, start="fixed", start_grid=grid)
    game.reset()
    first = game.units[0].copy()
    game.reset(1)
    np.testing.assert_array_equal(game.units, [first, first])
    touch = game.tables.pair[core.TOUCH]
    square = ((first[:2, :, None] - first[:2, None]) ** 2).sum(0) + np.diag(np.full(first.shape[1], 1e9))
    assert (square >= touch - 1e-6).all()
    column, row = first[:2].astype(int)
    assert game.map.walkable[column, row].all()


def test_a_random_start_differs_between_games_and_both_sides_of_a_fixed_one_are_alike():
    game = Skirmish(2, 0, map_name="8m")
    game.reset()
    assert (game.units[0, core.X] != game.units[1, core.X]).all()
    game = Skirmish(1, 0, map_name="8m", start="fixed")
    game.reset()
    places = game.units[0, :2]
    np.testing.assert_allclose(places[:, :8] - [[9], [16]], places[:, 8:] - [[23], [16]], atol=1e-12)


def test_units_start_on_the_nearest_free_spot_in_the_order_of_their_creation():
    """2s3z creates stalkers first. Grid 0.5: the second stalker at 2 * 0.625 = 1.25 or more to the first: 1.5 east is
    farther than (1, 1), at 1.41, and (1, 1) is the first such spot from the east counter-clockwise. A zealot keeps
    0.625 + 0.375 = 1 from both, and may touch them: (1, 0), (0, 1) and (-1, 0)."""
    stalkers, zealots = [[0, 0], [1, 1]], [[1, 0], [0, 1], [-1, 0]]
    game = Skirmish(1, 0, map_name="2s3z", start="fixed")
    game.reset()
    places = (game.units[0, :2, :5] - [[9], [16]]).T
    np.testing.assert_allclose(places, [*stalkers, *sorted(zealots)], atol=1e-12)  # slots of a type by x
    with pytest.raises(ConfigError, match="start_grid"):
        Skirmish(1, 0, start="fixed", start_grid=0.01)


@pytest.mark.parametrize("map_name", ["MMM2", "1c3s5z"])
def test_marines_colossus_and_those_who_fly_hold_the_middle(map_name):
    """The maps create marines before marauders, and who shares no layer of collisions may stand at one place."""
    game = Skirmish(1, 0, map_name=map_name, start="fixed")
    game.reset()
    distance = np.hypot(*(game.units[0, :2, : game.info.n_agents] - [[9], [16]]))
    groups = {}
    for (_, name, _), length in zip(game.map.allies, distance, strict=True):
        groups.setdefault(name, []).append(round(length, 9))
    first, second = ("marine", "marauder") if map_name == "MMM2" else ("stalker", "zealot")
    assert min(groups[first]) == 0 == groups["medivac" if map_name == "MMM2" else "colossus"][0]
    assert max(groups[first]) <= min(groups[second]) or map_name == "1c3s5z"
    names = [game.map.allies[slot][1] for slot in game.map.created[0]]
    assert names == [first] * 7 + [second] * 2 + ["medivac"] if map_name == "MMM2" else names[1:4] == [first] * 3


def test_slots_of_enemies_can_be_left_as_they_were_made_and_their_types_exchanged_as_in_smac():
    game = Skirmish(50, 0, map_name="8m", enemy_order="raw")
    game.reset()
    assert (np.diff(game.units[:, core.X, :8]) >= 0).all() and (np.diff(game.units[:, core.X, 8:]) < 0).any()
    plain, exchanged = (Skirmish(1, 0, map_name="2s3z", exchange_enemy_types=value) for value in (False, True))
    states = [game.reset().state[0, : 5 * 7 + 5 * 6] for game in (plain, exchanged)]
    np.testing.assert_array_equal(states[0][: 5 * 7], states[1][: 5 * 7])  # allies: nothing changes
    enemies = [state[5 * 7 :].reshape(5, 6) for state in states]
    np.testing.assert_array_equal(enemies[0][:, :4], enemies[1][:, :4])
    np.testing.assert_array_equal(enemies[0][:, 4:], enemies[1][:, :3:-1])
    for name in ("3m", "1c3s5z"):
        tables = Skirmish(1, 0, map_name=name, exchange_enemy_types=True).tables
        np.testing.assert_array_equal(tables.kind, Skirmish(1, 0, map_name=name).tables.kind)


def test_records_name_the_rules():
    record = Skirmish(1, 0).info.record
    assert dict(record.description)["rules"] == "4" and dict(record.metrics)["skirmish_rules"] == 4
    assert record.rules == "Skirmish 4"


def test_a_won_game_without_regeneration_earns_twenty():
    game = Skirmish(50, 0, map_name="8m")
    policy = game.reference_policies()["focus fire and kite"]
    total, won, is_running = np.zeros(50), np.zeros(50, dtype=bool), np.ones(50, dtype=bool)
    game.reset()
    while is_running.any():
        result = game.step(policy())
        total += result.reward * is_running
        if result.final is not None:
            won |= is_running & (result.info["battle_won"] > 0)
        is_running &= ~(result.terminated | result.truncated)
    assert 5 < won.sum() < 50
    np.testing.assert_allclose(total[won], 20, rtol=1e-5)
    assert (total[~won] <= 20 * (7 * 10 + 8 * 45) / (8 * 10 + 200 + 8 * 45)).all()


@pytest.mark.parametrize("continuing", [True, False])
def test_the_limit_cuts_off_or_ends(continuing):
    game = scene([FAR_AWAY], [["marine", 30, 30]], batch_size=2, continuing_episode=continuing)  # nobody goes anywhere
    game.clock[:] = 1000 - 150
    results = [game.step(np.full((2, 1), STOP)) for _ in range(150)]
    assert not any(result.terminated.any() or result.truncated.any() for result in results[:-1])
    assert (
        results[-1].truncated.tolist() == [continuing] * 2 and results[-1].terminated.tolist() == [not continuing] * 2
    )
    assert results[-1].info["battle_won"].tolist() == [0, 0] and results[-1].final is not None


def test_a_game_does_not_depend_on_how_many_others_there_are():
    few, many = (Skirmish(n, 3, map_name="2s3z") for n in (2, 7))
    rng, observations = np.random.default_rng(0), [few.reset(), many.reset()]
    for _ in range(70):
        np.testing.assert_array_equal(observations[0].obs, observations[1].obs[:2])
        scores = rng.random(observations[1].avail_actions.shape)
        actions = (scores * observations[1].avail_actions).argmax(-1)
        observations = [few.step(actions[:2]).observation, many.step(actions).observation]


def test_facts_of_the_moment():
    game = scene(
        [["marine", 10, 10], ["marine", 13, 14], ["marine", 10, 19.5]], [["zealot", 10, 18], ["zealot", 30, 30]]
    )
    game.units[0, [core.HEALTH, core.SHIELD], [1, 3]] = 15, 25
    facts = game.diagnostics()
    assert facts.sees_ally[0].tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    assert facts.sees_enemy[0].tolist() == [[True, False], [True, False], [True, False]]
    np.testing.assert_allclose(facts.health[0], [1, 1 / 3, 1])
    np.testing.assert_allclose(facts.enemy_shield[0], [0.5, 1])
    np.testing.assert_allclose(facts.distance[0, 0], [0, 5, 9.5])
    kill(game, 1)
    assert not game.diagnostics().sees_ally.any() and game.diagnostics().is_alive[0].tolist() == [True, False, True]


QUICK = ("2m_vs_1z", "3m", "6h_vs_8z", "MMM2")  # maps of the quick part


@pytest.mark.parametrize(
    "map_name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in sorted(MAPS)],
)
def test_scripts_beat_chance_by_far_and_lose_where_it_is_hard(map_name):
    facts = reference_outcomes(Skirmish(100, 0, map_name=map_name), seed=1)
    chance, script = facts["uniform random"], facts["focus fire and kite"]
    assert script["return"] > 1.5 * chance["return"]
    assert chance["battle_won"] <= 0.01
    if map_name in HARD:
        assert script["battle_won"] < (0.25 if map_name == "6h_vs_8z" else 0.1)  # kiting wins 11 % there since rules 2


N_GAMES, N_STEPS = 250, 400  # 100,000 steps a map


QUICK = {"3m", "MMM2", "3s_vs_5z"}  # the other maps take half a minute


@pytest.mark.parametrize(
    "map_name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in sorted(MAPS)]
)
def test_random_play_keeps_the_laws(map_name):
    """Health, shield, energy within bounds, the dead stay dead and can do nothing, nobody in a wall or outside, no NaN,
    always something to do, rewards that are finite and not negative: at each of 100,000 steps."""
    game, rng = Skirmish(N_GAMES, 7, map_name=map_name), np.random.default_rng(7)
    trait, walkable, is_air = game.tables.trait, game.map.walkable, game.tables.trait[core.IS_AIR] > 0
    observation, was_dead = game.reset(), np.zeros((N_GAMES, game.units.shape[2]), dtype=bool)
    n_ended = 0
    for _ in range(N_STEPS):
        scores = rng.random(observation.avail_actions.shape, dtype=np.float32)
        result = game.step((scores * observation.avail_actions).argmax(-1))
        observation, is_new = result.observation, result.terminated | result.truncated
        n_ended += is_new.sum()
        unit, is_dead = game.units, game.units[:, core.HEALTH] <= 0
        assert (unit[:, core.HEALTH] >= 0).all() and (unit[:, core.HEALTH] <= trait[core.MAX_HEALTH]).all()
        assert (unit[:, core.SHIELD] >= 0).all() and (unit[:, core.SHIELD] <= trait[core.MAX_SHIELD]).all()
        assert (unit[:, core.ENERGY] >= 0).all() and (unit[:, core.ENERGY] <= trait[core.MAX_ENERGY]).all()
        assert (unit[:, [core.COOLDOWN, core.WINDUP, core.FLIGHT]] >= 0).all()
        assert not unit[:, core.WINDUP][is_dead].any()
        assert (is_dead | ~was_dead | is_new[:, None]).all()
        column, row = unit[:, core.X].astype(int), unit[:, core.Y].astype(int)
        assert (unit[:, :2] >= 0).all() and (unit[:, :2] < len(walkable)).all()
        assert (walkable[column, row] | is_air).all()
        assert observation.avail_actions.any(-1).all()
        avail, agents_dead = observation.avail_actions, is_dead[:, : game.info.n_agents]
        assert (avail[..., 0] == agents_dead).all() and not (avail[..., 1:] & agents_dead[..., None]).any()
        assert np.isfinite(unit).all() and np.isfinite(result.reward).all() and (result.reward >= 0).all()
        for seen, most in ((observation.obs, 1.0), (observation.state, 2.5)):
            assert seen.min() >= -most and seen.max() <= most  # nan fails both
        was_dead = is_dead & ~is_new[:, None]
    assert n_ended >= N_GAMES // 2


def test_code_that_cannot_be_kept_is_compiled_all_the_same():
    names: dict = {}
    exec("def twice(x):\n    return x + x", names)  # numba knows no file for it, and so no folder
    assert compiled(names["twice"])(2) == 4


@pytest.mark.parametrize("settings", [{"map_name": "3s5z"}, {"map_name": "3m", "teams": "random"}])
@pytest.mark.parametrize("n_games", [1, 2, 7])
def test_any_number_of_threads_plays_the_same_games(settings, n_games):
    games = [Skirmish(n_games, 5, **settings, threads=threads) for threads in (1, 2, 3)]
    observations, rng = [game.reset() for game in games], np.random.default_rng(0)
    for _ in range(150):  # with restarts
        avail = observations[0].avail_actions
        actions = (rng.random(avail.shape) * avail).argmax(-1)
        results = [game.step(actions) for game in games]
        observations = [result.observation for result in results]
        for result, game in zip(results[1:], games[1:], strict=True):
            for ours, first in zip(result.observation, results[0].observation, strict=True):
                np.testing.assert_array_equal(ours, first)
            np.testing.assert_array_equal(result.reward, results[0].reward)
            np.testing.assert_array_equal(game.streams, games[0].streams)
    for game in games:
        game.close()
        game.close()


def test_less_than_one_thread_is_refused():
    with pytest.raises(ConfigError, match=r"threads=0: give a number of at least 1"):
        Skirmish(1, 0, threads=0)

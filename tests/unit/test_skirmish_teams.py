"""Random teams of Skirmish: what is drawn, and that a game with drawn units is the game with these units."""

from unittest import mock

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.games.skirmish import Skirmish, core
from bn_mappo.envs.games.skirmish.data import load_map
from bn_mappo.envs.games.skirmish.dealing import Dealer
from bn_mappo.envs.games.skirmish.tables import make_tables
from bn_mappo.envs.games.skirmish.teams import RandomTeams, TeamData, load_teams, uniform_numbers
from contracts.test_configs import one_update
from helpers import make_config

SPAWN = [core.SPAWN_X, core.SPAWN_Y, core.SPAWN_RADIUS]


def make_teams(map_name: str, **changes) -> RandomTeams:
    return RandomTeams(load_map(map_name), load_teams().model_copy(update=changes))


def random_game(map_name="5m_vs_6m", batch_size=3, seed=0, **env_args) -> Skirmish:
    game = Skirmish(batch_size, seed, map_name=map_name, teams="random", **env_args)
    game.reset()
    return game


def available_actions(game: Skirmish, rng) -> np.ndarray:
    avail = game.avail_actions()
    return (rng.random(avail.shape) * avail).argmax(-1)


def test_the_numbers_are_those_of_the_compiled_generator():
    seeds = np.array([2**64 - 5, 77], dtype=np.uint64)
    numbers = uniform_numbers(seeds, np.array([2, 0]), 4)
    for row, skipped in enumerate((2, 0)):
        slow = seeds.copy()
        assert numbers[row].tolist() == [core.uniform(slow, row) for _ in range(skipped + 4)][skipped:]


@pytest.mark.parametrize("map_name", ["10m_vs_11m", "3s5z", "6h_vs_8z"])
def test_units_are_drawn_by_their_weights_and_each_side_can_fight(map_name):
    teams = make_teams(map_name)
    n_agents, _ = teams.sizes
    types = teams.draw(np.random.default_rng(0).random((4000, teams.n_numbers))).types
    for side, columns in enumerate((slice(0, n_agents), slice(n_agents, None))):
        drawn, heals, chances = types[:, columns], teams.heals[side], teams.chances[side]
        assert (np.diff(drawn) >= 0).all(), "slots are ordered by type"
        assert (~heals[drawn]).any(-1).all()
        expected = chances * (drawn.shape[1] - 1) + np.where(heals, 0, chances) / chances[~heals].sum()  # one fights
        counts = (drawn[..., None] == np.arange(len(heals))).sum(1)  # [G, types]
        error = counts.std(0) / np.sqrt(len(counts))
        assert (np.abs(counts.mean(0) - expected) < 5 * error + 1e-9).all()
    if teams.are_alike:
        ours, theirs = types[:, :n_agents], types[:, n_agents:]
        more = (theirs[..., None] == np.arange(3)).sum(1) - (ours[..., None] == np.arange(3)).sum(1)
        assert (more >= 0).all(), "the enemies have all that the agents have"


def test_places_follow_the_patterns():
    teams = make_teams("8m")
    draw = teams.draw(np.random.default_rng(0).random((4000, teams.n_numbers)))
    agents, enemies = draw.places[:, :8], draw.places[:, 8:]
    surrounded = (np.abs(agents - 16) <= 3).all((1, 2))
    assert abs(surrounded.mean() - 0.5) < 0.04
    far = np.abs(enemies[surrounded] - 16)
    assert (far >= 8).all() and (far <= 13).all(), "in a corner"
    corners = (enemies[surrounded] > 16) @ [1, 2]
    assert np.allclose(np.bincount(corners.ravel()) / corners.size, 0.25, atol=0.02)
    ours, theirs = agents[~surrounded], enemies[~surrounded]
    assert (ours >= [4, 6]).all() and (ours <= [12, 26]).all()
    np.testing.assert_allclose(theirs, ours * [-1, 1] + [32, 0], err_msg="as many of one race start reflected")


@pytest.mark.parametrize("map_name", ["10m_vs_11m", "3s5z", "6h_vs_8z"])
def test_dealt_tables_are_those_of_a_map_with_these_units(map_name):
    teams = make_teams(map_name)
    dealer = Dealer(teams, 4, 2.0, seeds=np.arange(4, dtype=np.uint64))
    for _ in range(35):  # beyond those that are drawn at once
        dealer.deal(np.array([3, 1]))
    places = dealer.next_places[[3, 1], 35 % 32 - 1]
    for game, starts in ((3, places[0]), (1, places[1])):
        expected = make_tables(teams.cast(dealer.types[game]), 2.0)
        np.testing.assert_array_equal(dealer.kinds[game], expected.kind)
        np.testing.assert_array_equal(dealer.pairs[game], expected.pair)
        others = [row for row in range(len(core.TRAITS)) if row not in SPAWN]
        np.testing.assert_array_equal(dealer.traits[game, others], expected.trait[others])
        np.testing.assert_array_equal(dealer.traits[game, SPAWN], [*starts.T, np.zeros(len(starts))])
    assert np.ptp(dealer.types[[0, 2]]) == 0, "other games keep their units"


@pytest.mark.parametrize("map_name", ["5m_vs_6m", "3s5z"])
def test_a_game_of_random_teams_is_the_game_of_these_units(map_name):
    """Beside each game, one of fixed teams with its units, places and generator: same steps, other scale of rewards."""
    game, rng = random_game(map_name, obs_last_action=True), np.random.default_rng(0)
    twins = []
    for b in range(game.batch_size):
        with mock.patch("bn_mappo.envs.games.skirmish.game.load_map", return_value=game.cast(b)[0]):
            twins.append(Skirmish(1, 0, map_name=map_name, obs_last_action=True))
        twins[b].reset()
        for field in ("units", "marks", "streams", "goals"):
            getattr(twins[b], field)[0] = getattr(game, field)[b]
    assert len({tuple(types) for types in game.dealer.types}) > 1, "not all games have the same units"
    for _ in range(25):
        actions = available_actions(game, rng)
        results = [twin.step(actions[[b]]) for b, twin in enumerate(twins)]
        result = game.step(actions)
        for b, twin in enumerate(results):
            running = twin.final is None
            assert (not running) == (result.terminated[b] or result.truncated[b])
            now, then = (result.observation, twin.observation) if running else (result.final, twin.final)
            np.testing.assert_array_equal(now.obs[b], then.obs[0])
            np.testing.assert_array_equal(now.avail_actions[b], then.avail_actions[0])
            np.testing.assert_array_equal(now.state[b], then.state[0])
            paid = twin.reward[0] * twins[b].max_reward / 20
            if running:
                np.testing.assert_allclose(result.reward[b] / game.pays[b, core.SCALE], paid, rtol=1e-5, atol=1e-6)
        if result.final is not None:
            break


def test_each_game_can_pay_twenty():
    game = random_game("3s5z", batch_size=5)
    for b in range(5):
        enemies = game.cast(b)[0].enemies
        most = 10 * len(enemies) + 200 + sum(unit.health + unit.shield for unit, _, _ in enemies)
        assert game.pays[b, core.SCALE] == pytest.approx(20 / most)
    assert (random_game(reward_scale=False).pays[:, core.SCALE] == 1).all()


def test_episodes_have_new_teams_that_depend_on_the_seed_of_the_game_alone():
    one, many = random_game(batch_size=1, seed=4), random_game(batch_size=3, seed=4)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(450):
        actions = available_actions(many, rng)
        small, large = one.step(actions[:1]), many.step(actions)
        np.testing.assert_array_equal(small.observation.obs[0], large.observation.obs[0])
        seen.add(tuple(many.dealer.types[0]))
    assert len(seen) > 1


def test_a_saved_game_goes_on_with_its_teams():
    game, other, rng = random_game(seed=1), random_game(seed=2), np.random.default_rng(0)
    for _ in range(3):
        game.step(available_actions(game, rng))
    state = game.state_dict()
    assert not np.array_equal(game.dealer.types, other.dealer.types)
    other.load_state_dict(state)
    for _ in range(210):  # over a restart
        actions = available_actions(game, rng)
        left, right = game.step(actions), other.step(actions)
        np.testing.assert_array_equal(left.observation.obs, right.observation.obs)
        np.testing.assert_array_equal(left.reward, right.reward)


def test_agents_see_which_types_they_and_others_are():
    game = random_game("10m_vs_11m", batch_size=4)
    obs, names = game.observe().obs, ["marauder", "marine", "medivac"]
    assert game.info.entities == (), "healers change their places"
    assert random_game("3s5z").info.entities != ()
    for b in range(4):
        units = [name for _, name, _ in game.cast(b)[0].allies]
        own = obs[b, :, -len(names) :]
        assert [names[number] for number in own.argmax(-1)] == units and (own.sum(-1) == 1).all()
        assert game.moment(b).kinds[:10] == units


def test_a_picture_of_the_end_shows_the_units_that_fought():
    game, rng = random_game(batch_size=1, render_mode="rgb_array"), np.random.default_rng(0)
    before, result = game.moment().kinds, None
    while result is None or result.final is None:
        before = game.moment().kinds
        result = game.step(available_actions(game, rng))
    assert game.moment().kinds == before and game.moment().outcome
    game.step(available_actions(game, rng))
    game_map = game.cast(0)[0]
    assert game.moment().kinds == [name for _, name, _ in (*game_map.allies, *game_map.enemies)]


@pytest.mark.parametrize(
    ("env_args", "words"),
    [
        ({"map_name": "3m", "start": "fixed"}, "env_args.start='fixed' belongs to teams=fixed"),
        ({"map_name": "2s3z", "exchange_enemy_types": True}, "exchange_enemy_types=True belongs to teams=fixed"),
        ({"map_name": "2m_vs_1z"}, "no more than enemies"),
    ],
)
def test_what_does_not_go_together_is_named(env_args, words):
    with pytest.raises(ConfigError, match=words):
        Skirmish(1, 0, teams="random", **env_args)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": {"zerg": {"hydralisk": 0.5, "zergling": 0.4}}}, "weights of zerg add up to 0.9"),
        ({"weights": {"zerg": {"marine": 1.0}}}, "no zerg unit called marine"),
        ({"weights": {"terran": {"medivac": 1.0}}}, "a unit that fights"),
        (
            {"patterns": [{"name": "far", "chance": 1.0, "agents": [[1, 1, 40, 2]], "enemies": [[1, 1, 2, 2]]}]},
            "no box",
        ),
    ],
)
def test_mistakes_in_the_file_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        TeamData.model_validate({**load_teams().model_dump(), **change})


@pytest.mark.slow
@pytest.mark.parametrize("alg", ["mappo", "bn_mappo"])
def test_random_teams_train(alg):
    """Terran agents change places with healers, so nothing is declared of allies: networks that need it are refused."""
    networks = {"agent": "mlp", "dag__edge_net": "mlp"} if alg == "bn_mappo" else {"agent": "mlp"}
    one_update(make_config(alg, "skirmish", env_args__teams="random", env_args__map_name="5m_vs_6m", **networks))

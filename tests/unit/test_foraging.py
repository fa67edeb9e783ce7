"""Level-Based Foraging on arrays against the package, step by step, and against the law of its starts."""

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.games.foraging import LOAD, Foraging

ForagingEnv = pytest.importorskip("lbforaging.foraging").ForagingEnv
NO_LIMIT = 10**9
TASKS = {  # field_size, n_agents, n_foods, sight, coop, penalty
    "small": (5, 2, 1, None, False, 0.0),
    "usual": (8, 2, 3, None, False, 0.0),
    "short-sighted": (8, 3, 3, 2, False, 0.1),
    "cooperative": (10, 4, 4, 2, True, 0.0),
    "large": (15, 3, 5, None, False, 0.0),
    "crowded": (6, 5, 2, 1, True, 0.1),
}


def make_package(field_size, n_agents, n_foods, sight, coop, penalty):
    return ForagingEnv(
        players=n_agents,
        min_player_level=1,
        max_player_level=2,
        min_food_level=1,
        max_food_level=None,
        field_size=(field_size, field_size),
        max_num_food=n_foods,
        sight=sight or field_size,
        max_episode_steps=NO_LIMIT,
        force_coop=coop,
        penalty=penalty,
    )


def make_ours(field_size, n_agents, n_foods, sight, coop, penalty, batch_size=1):
    options = {"n_agents": n_agents, "n_foods": n_foods, "sight": sight, "coop": coop, "penalty": penalty}
    return Foraging(batch_size, 3, field_size=field_size, episode_limit=NO_LIMIT, **options)


def copy_state(package, ours: Foraging) -> None:
    """The package's state into our only game."""
    ours.position[0] = [player.position for player in package.players]
    ours.level[0] = [player.level for player in package.players]
    cells = np.argwhere(package.field > 0)
    ours.food_level[0] = 0
    ours.food[0, : len(cells)], ours.food_level[0, : len(cells)] = cells, package.field[tuple(cells.T)]
    ours.spawned[0] = package.field.sum()


@pytest.mark.parametrize("task", TASKS)
def test_every_step_is_that_of_the_package(task):
    """Moves, collisions, rewards, ends and observations; agents beside food load it half of the time."""
    package, ours, rng = make_package(*TASKS[task]), make_ours(*TASKS[task]), np.random.default_rng(0)
    n_loaded = n_met = 0
    over = True
    for step in range(600):
        if over or step % 60 == 0:
            seen, _ = package.reset(seed=step)
            copy_state(package, ours)
            np.testing.assert_array_equal(ours.observe().obs[0], np.stack(seen))
        actions = rng.integers(0, LOAD + 1, len(package.players))
        beside = [package.adjacent_food(*player.position) > 0 for player in package.players]
        actions[beside & (rng.random(len(beside)) < 0.5)] = LOAD
        before = ours.position.copy()
        seen, reward, over, _, _ = package.step(actions.tolist())
        paid, terminated = ours.advance(actions[None])
        np.testing.assert_allclose(paid[0], reward, rtol=1e-6, atol=1e-7)
        assert terminated[0] == over
        np.testing.assert_array_equal(ours.observe().obs[0], np.stack(seen))
        n_loaded += sum(np.asarray(reward) > 0)
        n_met += ((before == ours.position).all(-1)[0] & (actions > 0) & (actions < LOAD)).sum()
    assert n_loaded and n_met


@pytest.mark.parametrize("task", ["small", "short-sighted", "cooperative", "crowded"])
def test_games_start_by_the_law_of_the_package(task):
    """Means over many starts, each within five standard errors of the difference."""
    package, ours = make_package(*TASKS[task]), make_ours(*TASKS[task], batch_size=4000)
    package.reset(seed=1)
    theirs = []
    for _ in range(1500):
        package.reset()
        cells = np.argwhere(package.field > 0)
        of_agents = np.array([player.position for player in package.players])
        levels = [player.level for player in package.players]
        theirs.append(summarise(of_agents, levels, cells, package.field[tuple(cells.T)]))
    ours.reset()
    mine = []
    for game in range(ours.batch_size):
        is_there = ours.food_level[game] > 0
        cells, weights = ours.food[game][is_there], ours.food_level[game][is_there]
        mine.append(summarise(ours.position[game], ours.level[game], cells, weights))
    theirs, mine = np.array(theirs, dtype=float), np.array(mine, dtype=float)
    error = np.sqrt(theirs.var(0) / len(theirs) + mine.var(0) / len(mine))
    assert (np.abs(theirs.mean(0) - mine.mean(0)) <= 5 * error + 1e-9).all()


def summarise(agents, levels, cells, weights) -> list[float]:
    """Numbers whose means tell two laws of starting apart."""
    gaps = np.abs(agents[:, None] - cells).sum(-1)
    apart = np.abs(cells[:, None] - cells).sum(-1)[np.triu_indices(len(cells), 1)]
    rows = [*agents.mean(0), *agents.std(0), *cells.mean(0), *cells.std(0), np.mean(levels), np.prod(levels)]
    rows += [len(cells), np.sum(weights), np.max(weights), gaps.mean(), (gaps == 1).sum(), apart.sum()]
    return [*rows, float((apart <= 3).sum())]


def test_food_lies_apart_and_in_order_and_where_there_is_no_room_it_is_left_out():
    ours = make_ours(5, 2, 4, None, False, 0.0, batch_size=200)
    ours.reset()
    n_placed = (ours.food_level > 0).sum(-1)
    assert n_placed.min() >= 1 and n_placed.max() < 4
    for cells, levels in zip(ours.food, ours.food_level, strict=True):
        cells = cells[levels > 0]
        assert ((cells > 0) & (cells < 4)).all()
        assert (np.diff(cells[:, 0] * 5 + cells[:, 1]) > 0).all()


def test_a_game_pays_one_in_all_and_a_batch_plays_as_its_games_would():
    ours = Foraging(16, 5, field_size=6, n_agents=3, n_foods=2)
    ours.reset()
    rng = np.random.default_rng(1)
    paid, n_whole = np.zeros(16), 0
    for _ in range(600):
        alone = Foraging(1, 0, field_size=6, n_agents=3, n_foods=2)
        for name in ours.state_fields:
            getattr(alone, name)[:] = getattr(ours, name)[4:5]
        actions = rng.integers(0, LOAD + 1, (16, 3))
        result = ours.step(actions)
        reward, terminated = alone.advance(actions[4:5])
        np.testing.assert_array_equal(reward[0], result.reward[4])
        assert terminated[0] == result.terminated[4]
        paid += result.reward.sum(-1)
        np.testing.assert_allclose(paid[result.terminated], 1.0, rtol=1e-6)
        n_whole += result.terminated.sum()
        paid[result.terminated | result.truncated] = 0
    assert n_whole > 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"field_size": 4}, "at least 5"),
        ({"n_foods": 0}, "at least 1"),
        ({"sight": 0}, "null for everything"),
        ({"field_size": 5, "n_agents": 9}, "9 cells for food"),
    ],
)
def test_what_makes_no_game_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        Foraging(1, 0, **options)

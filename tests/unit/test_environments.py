"""The batched games against slow versions that play one game with loops, and against known values."""

import numpy as np
import pytest

from bn_mappo.envs.games.aloha import Aloha, neighbour_matrix
from bn_mappo.envs.games.aloha_policies import independent_sets
from bn_mappo.envs.games.coordination_game import (
    CoordinationGame,
    all_states,
    next_state_distribution,
    optimal_value,
    state_reward,
)
from bn_mappo.envs.games.matrix_game import MatrixGame
from bn_mappo.envs.games.two_step import TwoStep
from bn_mappo.envs.references import play, reference_outcomes


def slow_coordination_reward(bits: list[int], bound: int, strict: bool) -> float:
    """The table of the paper's Algorithm 1, read as it stands."""
    zeros, ones = bits.count(0), bits.count(1)
    inside = abs(zeros - ones) < bound if strict else abs(zeros - ones) <= bound
    if inside:
        return 1.0 if zeros < ones else 0.0
    return 3.0 if zeros > ones else 2.0


@pytest.mark.parametrize("n_agents", [2, 3, 5, 10])
@pytest.mark.parametrize("reward_bound", ["inclusive", "strict"])
def test_coordination_reward_table(n_agents, reward_bound):
    bound = 1 if n_agents <= 3 else 2 if n_agents <= 9 else 3
    states = all_states(n_agents)
    expected = [slow_coordination_reward(list(bits), bound, reward_bound == "strict") for bits in states.tolist()]
    assert state_reward(states, bound, reward_bound).tolist() == expected
    game = CoordinationGame(len(states), 0, n_agents=n_agents, reward_bound=reward_bound)
    game.reset()
    game.bits = states.copy()
    assert game.step(np.zeros((len(states), n_agents), dtype=np.int64)).reward.tolist() == expected


def test_both_readings_of_the_bound_differ_only_for_three_agents():
    for n_agents, differ in ((2, False), (3, True), (5, False)):
        states, bound = all_states(n_agents), 1 if n_agents <= 3 else 2
        tables = [state_reward(states, bound, reading).tolist() for reading in ("inclusive", "strict")]
        assert (tables[0] != tables[1]) == differ


@pytest.mark.parametrize(("n_agents", "value"), [(2, 47.799), (3, 43.104), (5, 53.778)])
def test_coordination_optimum(n_agents, value):
    assert optimal_value(n_agents) == pytest.approx(value, abs=2e-3)


def test_coordination_optimum_agrees_with_value_iteration():
    n_agents, gamma = 3, 0.95
    states = all_states(n_agents)
    reward = state_reward(states, 1, "inclusive").astype(float)
    transition = np.stack([next_state_distribution(a[None], 0.1)[0] for a in states])  # [A^N, S]
    value = np.zeros(len(states))
    for _ in range(2000):
        value = reward + gamma * (transition @ value).max()
    assert optimal_value(n_agents) == pytest.approx(value.mean(), rel=1e-9)


def test_coordination_bits_follow_actions_with_probability_one_minus_epsilon():
    game = CoordinationGame(20_000, 0, n_agents=3, epsilon=0.1)
    game.reset()
    assert game.bits.mean() == pytest.approx(0.5, abs=0.01)
    game.step(np.broadcast_to([0, 1, 1], (20_000, 3)))
    assert game.bits.mean(0) == pytest.approx([0.1, 0.9, 0.9], abs=0.01)


class SlowAloha:
    """One game, cell by cell."""

    def __init__(self, rows: int, columns: int, limit: int):
        self.cells = [(r, c) for r in range(rows) for c in range(columns)]
        self.backlog = dict.fromkeys(self.cells, 1)
        self.limit = limit

    def step(self, actions: dict, arrivals: dict) -> float:
        reward, left = 0.0, dict(self.backlog)
        for r, c in self.cells:
            if not actions[r, c] or self.backlog[r, c] == 0:
                continue
            around = [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
            if any(actions.get(cell, 0) for cell in around):
                reward -= 10.0
            else:
                reward += 0.1
                left[r, c] -= 1
        self.backlog = {cell: min(left[cell] + arrivals[cell], self.limit) for cell in self.cells}
        return reward


@pytest.mark.parametrize(("rows", "columns", "limit"), [(2, 5, 5), (3, 4, 2), (1, 6, 5)])
def test_aloha_agrees_with_the_slow_game(rows, columns, limit):
    game = Aloha(1, 3, rows=rows, columns=columns, max_backlog=limit, episode_limit=60)
    slow, rng = SlowAloha(rows, columns, limit), np.random.default_rng(5)
    game.reset()
    for _ in range(59):
        actions = (rng.random((1, rows * columns)) < 0.3).astype(np.int64)
        draws = np.random.default_rng(0)
        draws.bit_generator.state = game.rng.bit_generator.state
        arrived = draws.random((1, rows * columns), dtype=np.float32)[0] < 0.6
        result = game.step(actions)
        by_cell = dict(zip(slow.cells, actions[0].tolist(), strict=True))
        expected = slow.step(by_cell, dict(zip(slow.cells, arrived.astype(int).tolist(), strict=True)))
        assert result.reward[0] == pytest.approx(expected, abs=1e-5)
        assert game.backlog[0].tolist() == list(slow.backlog.values())
        assert result.observation.obs[0].argmax(-1).tolist() == list(slow.backlog.values())


def test_aloha_neighbours_and_the_spurious_pair():
    grid, casec = neighbour_matrix(2, 5), neighbour_matrix(2, 5, "casec")
    assert grid.sum() == 2 * 13
    assert np.argwhere(grid != casec).tolist() == [[4, 5], [5, 4]]


def test_aloha_scalar_observation_is_the_backlog_as_a_share():
    game = Aloha(1, 0, obs_coding="scalar")
    assert game.reset().obs[0].flatten() == pytest.approx([0.2] * 10)


def test_independent_sets_are_all_of_them():
    neighbours = neighbour_matrix(2, 2)
    sets = {tuple(row) for row in independent_sets(neighbours).astype(int).tolist()}
    assert sets == {(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0)}


def test_aloha_references_earn_what_is_documented():
    """For an episode of 20 steps."""
    facts = reference_outcomes(Aloha(4000, 0, episode_limit=20), seed=1)
    returns = {name: means["return"] for name, means in facts.items()}
    expected = {
        "never send": 0.0,
        "fixed senders (one colour)": 6.20,
        "longest backlog first": 8.86,
        "fixed order": 9.28,
        "colours in turn": 9.55,
        "heavier colour first": 9.62,
        "most messages (central)": 9.70,
    }
    for name, value in expected.items():
        assert returns[name] == pytest.approx(value, abs=0.04), name
    assert returns["uniform random"] == pytest.approx(-820, abs=8)
    casec = Aloha(4000, 0, episode_limit=20, adjacency="casec")
    assert play(casec, casec.reference_policies()["uniform random"], 1).mean() == pytest.approx(-845, abs=8)


def test_coordination_optimum_is_the_best_reference():
    facts = reference_outcomes(CoordinationGame(4000, 0, n_agents=5), seed=1)
    returns = {name: means["return"] for name, means in facts.items()}
    assert max(returns, key=returns.get) == "optimum"


@pytest.mark.parametrize(
    ("joint_actions", "reward"),
    [*(([(0, j), (k, m)], 7.0) for j in (0, 1) for k in (0, 1) for m in (0, 1))]
    + [([(1, j), second], pays) for j in (0, 1) for second, pays in (((0, 0), 0.0), ((0, 1), 1.0), ((1, 1), 8.0))],
)
def test_two_step_game_pays_what_the_paper_prints(joint_actions, reward):
    game = TwoStep(1, 0)
    assert game.reset().obs[0].tolist() == [[1, 0, 0], [1, 0, 0]]
    first, second = (np.array([actions]) for actions in joint_actions)
    result = game.step(first)
    assert result.reward.tolist() == [0.0] and not result.terminated.any()
    assert result.observation.state[0].tolist() == [0, *np.eye(2)[joint_actions[0][0]]]
    result = game.step(second)
    assert result.reward.tolist() == [reward] and result.terminated.all() and not result.truncated.any()
    assert result.observation.state[0].tolist() == [1, 0, 0]


def test_matrix_games_pay_what_is_printed():
    climbing, penalty = (MatrixGame(9, 0, payoff=payoff, penalty=-7.0) for payoff in ("climbing", "penalty"))
    joint = np.stack(np.divmod(np.arange(9), 3), axis=1)  # [9, 2]
    expected = {climbing: [11, -30, 0, -30, 7, 6, 0, 0, 5], penalty: [10, 0, -7, 0, 2, 0, -7, 0, 10]}
    for game, payoffs in expected.items():
        game.reset()
        result = game.step(joint)
        assert result.reward.tolist() == payoffs and result.terminated.all()
    facts = {name: means["return"] for name, means in reference_outcomes(climbing, seed=1).items()}
    assert facts["optimum"] == 11 and facts["best against a random partner"] == 5


def test_two_step_references():
    facts = {name: means["return"] for name, means in reference_outcomes(TwoStep(4000, 0), seed=1).items()}
    assert facts["optimum"] == 8 and facts["first game (safe)"] == 7
    assert facts["uniform random"] == pytest.approx(7 / 2 + 10 / 8, abs=0.2)

"""Gradient ascent: what Theorem 5.5 and Corollary 5.8 promise, common numbers between DAGs, and stopping."""

from itertools import pairwise

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.games.coordination_game import tabular_coordination_game
from bn_mappo.tabular.ascent import ascend, released_step, theorem_step
from bn_mappo.tabular.best_response import certify_nash
from bn_mappo.tabular.corollary import demonstrate, one_state_game
from bn_mappo.tabular.coverage import LOST_BELOW, coverage
from bn_mappo.tabular.dags import named_dag
from bn_mappo.tabular.evaluation import evaluate
from bn_mappo.tabular.optimum import optimal_value
from bn_mappo.tabular.policy import normal_logits
from tabular_games import CASES, deterministic, random_dag, random_game


@pytest.mark.parametrize("case", CASES)
def test_values_never_fall_under_the_step_of_the_theorem(case):
    """Theorem 5.5: V(s) and Q(s, a) are non-decreasing in every state, on every seed."""
    game = random_game(*case)
    dag = random_dag(game.n_agents, case[-1])
    start = normal_logits(game, dag, seeds=range(5))
    points = list(ascend(game, dag, start, theorem_step(game), iterations=60, evaluate_every=1))
    for before, after in pairwise(points):
        assert (after.evaluation.values - before.evaluation.values).min() > -1e-12
        assert (after.evaluation.action_values - before.evaluation.action_values).min() > -1e-12
        assert (after.value - before.value).min() > 0


def test_a_step_far_above_that_of_the_theorem_can_lower_the_value():
    """Two agents who disagree each jump to the other's action, and pass each other."""
    game, dag = one_state_game("equal"), named_dag("uncorrelated", 2)
    start = [np.array([2.0, 0.0]).reshape(2, 1, 1, 1), np.array([0.0, 1.0]).reshape(1, 2, 1, 1)]
    for step, improves in ((theorem_step(game), True), (1000.0, False)):
        first, last = ascend(game, dag, start, step, iterations=1)
        assert (last.value[0] > first.value[0]) == improves


def test_steps_of_the_theorem_and_of_the_released_code():
    game = tabular_coordination_game(2)
    assert theorem_step(game) == pytest.approx(0.05**3 / (8 * 2 * 3))
    assert released_step(game) == pytest.approx(0.02)
    flat = type(game)("flat", game.n_actions, game.transition, game.reward * 0, game.gamma, game.mu)
    with pytest.raises(ConfigError, match="pays the same"):
        theorem_step(flat)


def test_ascent_ends_at_a_nash_policy_and_stops_there():
    game = tabular_coordination_game(2)
    dag = named_dag("uncorrelated", 2)
    start = normal_logits(game, dag, seeds=range(4))
    points = list(ascend(game, dag, start, 0.1, iterations=5000, evaluate_every=50, tolerance=0.1))
    last = points[-1]
    assert last.iteration < 5000 and last.gap.max() <= 0.1 < points[-2].gap.max()
    assert certify_nash(game, dag, last.logits, tolerance=0.11).is_nash.all()
    assert not certify_nash(game, dag, start, tolerance=0.11).is_nash.any()


def test_checkpoints_are_the_start_every_kth_and_the_last():
    game, dag = tabular_coordination_game(2), named_dag("line", 2)
    start = normal_logits(game, dag, seeds=[0])
    kept = [table.copy() for table in start]
    assert [p.iteration for p in ascend(game, dag, start, 0.1, iterations=7, evaluate_every=3)] == [0, 3, 6, 7]
    for table, copy in zip(start, kept, strict=True):
        np.testing.assert_array_equal(table, copy)  # the caller's tables are left alone


def test_a_seed_does_not_depend_on_its_companions():
    game, dag = tabular_coordination_game(3), named_dag("full", 3)
    together = [*ascend(game, dag, normal_logits(game, dag, range(5)), 0.02, 40)][-1]
    alone = [*ascend(game, dag, normal_logits(game, dag, [3]), 0.02, 40)][-1]
    assert together.value[3] == pytest.approx(alone.value[0], rel=1e-12)
    assert together.gap[3] == pytest.approx(alone.gap[0], abs=1e-9)


def test_line_and_full_coincide_for_two_agents_and_the_released_line_has_no_edge():
    game = tabular_coordination_game(2)
    ends = {}
    for name in ("line", "full", "line_released", "uncorrelated"):
        dag = named_dag(name, 2)
        ends[name] = [*ascend(game, dag, normal_logits(game, dag, range(3)), 0.02, 50)][-1].value
    np.testing.assert_array_equal(ends["line"], ends["full"])
    np.testing.assert_array_equal(ends["line_released"], ends["uncorrelated"])
    assert (ends["line"] != ends["uncorrelated"]).all()


def test_agents_with_the_same_parents_start_alike_along_two_dags():
    game = tabular_coordination_game(3)
    line, full = (normal_logits(game, named_dag(name, 3), range(4)) for name in ("line", "full"))
    np.testing.assert_array_equal(line[0], full[0])
    np.testing.assert_array_equal(line[1], full[1])
    np.testing.assert_array_equal(line[2], full[2][:1])
    values = np.concatenate([table.ravel() for table in normal_logits(game, named_dag("full", 3), range(200))])
    assert abs(values.mean()) < 0.02 and abs(values.std() - 1) < 0.02


def test_coverage_counts_by_hand():
    """Agent 0 plays action 0 for certain, so of (a^0 = 0), (a^0 = 1) the second is lost, wrong only if agent 1 errs."""
    game, dag = one_state_game("equal"), named_dag("full", 2)
    first = deterministic(np.zeros((1, 1, 1)), 2, axis=0) / 100  # logits 0 and -10
    obey = deterministic(np.arange(2).reshape(2, 1, 1), 2, axis=1) / 100
    zero = deterministic(np.zeros((2, 1, 1)), 2, axis=1) / 100  # action 0, also after a^0 = 1
    for second, wrong in ((obey, 0), (zero, 1)):
        counts = coverage(game, dag, evaluate(game, [first, second]))
        assert (counts.augmented_states, counts.lost[0], counts.lost_wrong[0]) == (3, 1, wrong)


def test_corollary_where_visitation_is_kept_every_run_is_optimal():
    runs = demonstrate("equal", n_seeds=30, iterations=2000)
    kept = runs.coverage.lost == 0
    assert kept.sum() >= 5
    assert (runs.poa[kept] > 0.99).all()


def test_corollary_where_visitation_is_lost_some_runs_stay_below_the_optimum():
    runs = demonstrate("unequal", n_seeds=30, iterations=2000)
    stuck = runs.poa < 0.99
    assert stuck.any() and (runs.coverage.lost_wrong[stuck] > 0).all()
    np.testing.assert_allclose(runs.poa[stuck], 2 / 3, atol=0.01)  # both play 1 and earn 2 of 3


def test_a_lopsided_start_loses_the_better_action_and_an_even_one_does_not():
    game, dag = one_state_game("unequal"), named_dag("full", 2)
    even = [np.zeros((2, 1, 1, 1)), np.zeros((2, 2, 1, 1))]
    lopsided = [np.array([0.0, 3.0]).reshape(2, 1, 1, 1), np.array([[0.0, 4.0], [0.0, 4.0]]).reshape(2, 2, 1, 1)]
    best = optimal_value(game)
    ratios = {}
    for name, start in (("even", even), ("lopsided", lopsided)):
        end = [*ascend(game, dag, start, 0.5, 4000, evaluate_every=4000)][-1]
        ratios[name] = end.value[0] / best
        lost = end.evaluation.policies[0][0, 0, 0, 0] < LOST_BELOW
        assert lost == (name == "lopsided")
    assert ratios["even"] > 0.99 and ratios["lopsided"] == pytest.approx(2 / 3, abs=0.01)


def test_correlation_raises_the_price_of_anarchy_at_two_agents():
    """The effect that the paper reports, on enough seeds to see it: full above uncorrelated, seed by seed."""
    game = tabular_coordination_game(2)
    ends = {}
    for name in ("full", "uncorrelated"):
        dag = named_dag(name, 2)
        start = normal_logits(game, dag, range(30))
        ends[name] = [*ascend(game, dag, start, released_step(game), 2000, evaluate_every=2000)][-1].value
    assert (ends["full"] > ends["uncorrelated"]).sum() >= 25


def test_a_small_gap_below_the_optimum_may_be_a_plateau():
    """Where a^0 = 0 is hardly visited, agent 1 still learns its reply there, slowly, until both move to the optimum."""
    game, dag = one_state_game("unequal"), named_dag("full", 2)
    reply = np.log(0.15 / 0.85)  # agent 1 answers 0 with 0 at probability 0.15
    start = [np.array([0.0, 3.0]).reshape(2, 1, 1, 1), np.array([[reply, 0.0], [0.0, 4.0]]).reshape(2, 2, 1, 1)]
    points = {p.iteration: p for p in ascend(game, dag, start, 0.5, 6000, evaluate_every=1000)}
    ratio = {k: float(point.value[0]) / optimal_value(game) for k, point in points.items()}
    assert points[1000].gap[0] < 0.01 and ratio[1000] == pytest.approx(2 / 3, abs=0.01)
    assert points[6000].gap[0] < 0.01 and ratio[6000] > 0.99

"""The log barrier: its gradient against differences, and what it does that plain ascent cannot."""

import numpy as np
import pytest

from bn_mappo.tabular.ascent import ascend
from bn_mappo.tabular.barrier import log_barrier, log_barrier_gradient
from bn_mappo.tabular.corollary import START_SPREAD, one_state_game
from bn_mappo.tabular.dags import named_dag
from bn_mappo.tabular.optimum import optimal_value
from bn_mappo.tabular.policy import local_policies, normal_logits
from tabular_games import CASES, random_dag, random_game

NEAR = 0.97  # of the optimal value: a policy that keeps every action possible cannot be optimal


@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_central_differences(case):
    game = random_game(*case)
    logits = normal_logits(game, random_dag(game.n_agents, case[-1]), seeds=[2, 7])
    gradient = log_barrier_gradient(local_policies(logits))
    rng, step = np.random.default_rng(case[-1]), 1e-5
    direction = [rng.standard_normal(table.shape) for table in logits]
    ahead, behind = (
        log_barrier(local_policies([t + sign * step * d for t, d in zip(logits, direction, strict=True)]))
        for sign in (1, -1)
    )
    slope = sum((g * d).sum(axis=(*range(g.ndim - 2), -1)) for g, d in zip(gradient, direction, strict=True))  # [B]
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-6)


def test_the_uniform_policy_is_its_maximum():
    game = random_game((2, 3), 4, seed=0)
    uniform = [np.zeros_like(table) for table in normal_logits(game, named_dag("full", 2), seeds=[0])]
    assert log_barrier(local_policies(uniform))[0] == pytest.approx(-np.log(2) - np.log(3))
    assert all(np.abs(slope).max() < 1e-12 for slope in log_barrier_gradient(local_policies(uniform)))


def test_ascent_with_a_barrier_ends_near_the_optimum_from_starts_that_plain_ascent_loses():
    """The game of Corollary 5.8 on which some biased starts give up the better action of agent 1 too early."""
    game, dag = one_state_game("unequal"), named_dag("full", 2)
    start = normal_logits(game, dag, seeds=range(200))
    start = [START_SPREAD * table for table in start]
    best = optimal_value(game)
    shares = {}
    for barrier in (0.0, 0.02):
        *_, last = ascend(game, dag, start, step_size=0.5, iterations=4000, evaluate_every=4000, barrier=barrier)
        shares[barrier] = (last.value / best >= NEAR).mean()
        if barrier:
            least = min(float(policy.min()) for policy in local_policies(last.logits))
            assert least > 1e-4, "the barrier keeps every action possible"
    assert shares[0.0] < 0.98 and shares[0.02] == 1.0, shares

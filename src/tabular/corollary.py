"""Corollary 5.8 on two one-state games of two agents along the full DAG: with and without lost visitation."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bn_mappo.tabular.ascent import ascend
from bn_mappo.tabular.coverage import Coverage, coverage
from bn_mappo.tabular.dags import named_dag
from bn_mappo.tabular.game import Array, Game, game_from_arrays
from bn_mappo.tabular.optimum import optimal_value, price_of_anarchy
from bn_mappo.tabular.policy import normal_logits

OPTIMAL_POA = 0.99  # a run at or above this counts as optimal
STEP_SIZE = 0.5
START_SPREAD = 3.0  # standard deviation of theta at the start: large, so that some starts are strongly biased

# Reward of (a^1, a^2). In `equal` both agreements are optimal, so agent 1 can play both actions at an optimum. In
# `unequal` only (0, 0) is optimal, so every optimal policy gives up a^1 = 1, and a run may give up a^1 = 0 too early.
PAYOFFS = {"equal": [[1.0, 0.0], [0.0, 1.0]], "unequal": [[3.0, 0.0], [0.0, 2.0]]}


class Demonstration(NamedTuple):
    """The final policies of all runs on one game."""

    game: str
    poa: Array  # [B]
    coverage: Coverage


class Contingency(NamedTuple):
    """Numbers of optimal runs and of all runs, grouped by whether augmented states were lost."""

    kept: tuple[int, int]  # nothing lost: (optimal, all)
    lost_right: tuple[int, int]  # some lost, but the policy plays a best action in each of them
    lost_wrong: tuple[int, int]  # some lost, with a wrong action in at least one of them


def one_state_game(name: str) -> Game:
    """The game of that name in PAYOFFS."""
    return game_from_arrays(np.ones((1, 2, 2, 1)), np.array(PAYOFFS[name])[None], 0.0, [1.0], name)


def demonstrate(name: str, n_seeds: int, iterations: int) -> Demonstration:
    """Run gradient ascent on one of the games from random starts with a large spread."""
    game, dag = one_state_game(name), named_dag("full", 2)
    start = [START_SPREAD * table for table in normal_logits(game, dag, range(n_seeds))]
    *_, last = ascend(game, dag, start, STEP_SIZE, iterations, evaluate_every=iterations)
    poa = price_of_anarchy(game, last.value, optimal_value(game))  # [B]
    return Demonstration(name, poa, coverage(game, dag, last.evaluation))


def contingency(poa: Array, lost: npt.NDArray[np.int64], lost_wrong: npt.NDArray[np.int64]) -> Contingency:
    """Cross-tabulate runs [B]: was a state lost, was it lost wrong, is the run optimal?"""
    optimal = poa >= OPTIMAL_POA
    groups = (lost == 0, (lost > 0) & (lost_wrong == 0), lost_wrong > 0)
    return Contingency(*((int((optimal & group).sum()), int(group.sum())) for group in groups))

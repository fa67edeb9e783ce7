"""Exact gradient ascent along a DAG; all seeds advance in one batch."""

from collections.abc import Iterator
from typing import NamedTuple

from bn_mappo.core.errors import ConfigError
from bn_mappo.tabular.barrier import log_barrier_gradient
from bn_mappo.tabular.best_response import Deviation, nash_gap
from bn_mappo.tabular.dags import Adjacency
from bn_mappo.tabular.evaluation import Evaluation, evaluate, start_value
from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.gradient import policy_gradient
from bn_mappo.tabular.policy import Tables

RELEASED_STEP = 0.01  # on the unnormalised mu of the released code


class Checkpoint(NamedTuple):
    """One evaluation during ascent."""

    iteration: int  # gradient steps made so far
    logits: Tables  # of [*d, B, S]
    evaluation: Evaluation
    value: Array  # V(mu), [B]
    gap: Array  # Nash-gap, [B]


def theorem_step(game: Game) -> float:
    """eta = (1 - gamma)^3 / (8 N (r_max - r_min)), under which V never falls (Theorem 5.5)."""
    if game.reward_range == 0:
        raise ConfigError(f"'{game.name}' pays the same everywhere: the step of Theorem 5.5 is not defined")
    return (1 - game.gamma) ** 3 / (8 * game.n_agents * game.reward_range)


def released_step(game: Game) -> float:
    """The step 0.01 of the released code, which starts with weight 1/N in each of the S states instead of 1/S."""
    return RELEASED_STEP * game.n_states / game.n_agents


def ascend(
    game: Game,
    adjacency: Adjacency,
    logits: Tables,
    step_size: float,
    iterations: int,
    evaluate_every: int = 20,
    tolerance: float = 0.0,
    deviation: Deviation = "augmented",
    barrier: float = 0.0,
) -> Iterator[Checkpoint]:
    """theta <- theta + eta dV(mu)/dtheta (paper, equation 2); yields the start, every k-th iterate and the last.

    With a `barrier`, the objective is V(mu) + barrier * log_barrier(pi) (tabular/barrier.py).

    Stops after `iterations` steps, or at the first evaluation at which no seed has a Nash-gap above the tolerance (0:
    never). A seed's path does not depend on which other seeds are in the batch.
    """
    for iteration in range(iterations + 1):
        evaluation = evaluate(game, logits)
        if iteration % evaluate_every == 0 or iteration == iterations:
            gap = nash_gap(game, adjacency, evaluation, deviation)
            yield Checkpoint(iteration, logits, evaluation, start_value(game, evaluation.values), gap)
            if tolerance > 0 and gap.max() <= tolerance:
                return
        if iteration < iterations:
            gradient = policy_gradient(game, adjacency, evaluation)
            if barrier:
                slopes = log_barrier_gradient(evaluation.policies)
                gradient = [own + barrier * slope for own, slope in zip(gradient, slopes, strict=True)]
            logits = [table + step_size * slope for table, slope in zip(logits, gradient, strict=True)]

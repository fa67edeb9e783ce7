"""The runs behind figure 3: POA and Nash-gap along fixed DAGs, every seed, every evaluation."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.progress import Report
from bn_mappo.envs.games.coordination_game import RewardBound, tabular_coordination_game
from bn_mappo.tabular.ascent import Checkpoint, ascend, released_step, theorem_step
from bn_mappo.tabular.best_response import nash_gap
from bn_mappo.tabular.coverage import coverage
from bn_mappo.tabular.dags import named_dag
from bn_mappo.tabular.game import Array, Game
from bn_mappo.tabular.optimum import optimal_value, price_of_anarchy
from bn_mappo.tabular.policy import normal_logits

MEMORY_BUDGET = 400_000_000  # bytes for the arrays of one batch of seeds; more seeds go into further batches
ARRAYS_PER_SEED = 16  # joint-sized arrays alive at once: tables, gradient, policy, Q and temporaries
LARGEST_SEED = 4_000_000_000  # bytes that one seed may take


@dataclass(frozen=True)
class Plan:
    """What to run; `step` is 'released', 'theorem' or a number."""

    seeds: tuple[int, ...]
    iterations: int
    evaluate_every: int
    step: str
    dags: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A game, with the words that name it in tables."""

    game: Game
    label: str
    reward_bound: str  # empty where the game is not the Coordination Game
    optimum: float


@dataclass(frozen=True)
class Curves:
    """All evaluations of one case along one DAG: E of them, B seeds."""

    case: Case
    dag: str
    step_size: float
    seeds: tuple[int, ...]
    iteration: npt.NDArray[np.int64]  # [E]
    value: Array  # V(mu), [E, B]
    poa: Array  # [E, B]
    gap: Array  # [E, B]
    gap_state_only: Array  # [E, B]; by the definition of the released code
    augmented_states: int
    lost: npt.NDArray[np.int64]  # [E, B]
    lost_wrong: npt.NDArray[np.int64]  # [E, B]
    seconds: float


def coordination_cases(agents: Sequence[int], reward_bounds: Sequence[RewardBound]) -> list[Case]:
    """One case for each N and each reading of the reward bound; a reading that gives the same table is not repeated."""
    cases: list[Case] = []
    for reward_bound in reward_bounds:
        for n_agents in agents:
            seed_bytes(f"N={n_agents}", 2**n_agents, 2**n_agents)  # before the game itself fills the memory
            game = tabular_coordination_game(n_agents, reward_bound=reward_bound)
            seen = [c for c in cases if c.game.n_agents == n_agents and np.array_equal(c.game.reward, game.reward)]
            if not seen:
                reading = "" if reward_bound == "inclusive" else ", strict bound"
                cases.append(Case(game, f"N={n_agents}{reading}", reward_bound, optimal_value(game)))
    return cases


def game_case(game: Game) -> Case:
    """A user's own game as a case."""
    return Case(game, game.name, "", optimal_value(game))


def step_size(plan: Plan, game: Game) -> float:
    """The step that the plan asks for."""
    if plan.step == "released":
        return released_step(game)
    if plan.step == "theorem":
        return theorem_step(game)
    try:
        step = float(plan.step)
    except ValueError as error:
        raise ConfigError(f"--step {plan.step}: give 'released', 'theorem' or a number") from error
    if not 0 < step < np.inf:
        raise ConfigError(f"--step {plan.step}: a step is a positive number")
    return step


def seed_bytes(name: str, n_joint_actions: int, n_states: int) -> int:
    """Memory that one seed takes; ConfigError where that is more than a machine is likely to have."""
    needed = ARRAYS_PER_SEED * 8 * n_joint_actions * n_states
    if needed > LARGEST_SEED:
        raise ConfigError(f"{name} needs about {needed / 1e9:.0f} GB for each seed; at most {LARGEST_SEED / 1e9:.0f}")
    return needed


def seed_batches(game: Game, seeds: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The seeds in batches that fit into memory."""
    size = max(1, MEMORY_BUDGET // seed_bytes(game.name, game.n_joint_actions, game.n_states))
    for first in range(0, len(seeds), size):
        yield seeds[first : first + size]


def run_case(case: Case, dag: str, plan: Plan, report: Report) -> Curves:
    """All seeds of one case along one DAG; reports work in units of iterations times seeds times joint table size."""
    game, adjacency = case.game, named_dag(dag, case.game.n_agents)
    eta, started = step_size(plan, game), time.perf_counter()
    batches = []
    for seeds in seed_batches(game, plan.seeds):
        rows, done = [], 0
        start = normal_logits(game, adjacency, seeds)
        for point in ascend(game, adjacency, start, eta, plan.iterations, plan.evaluate_every):
            rows.append(_measure(case, adjacency, point))
            report(work(case, len(seeds), point.iteration - done), f"{case.label} {dag}")
            done = point.iteration
        batches.append(rows)
    fields = [np.concatenate([np.stack([row[k] for row in rows]) for rows in batches], axis=1) for k in range(6)]
    iteration = np.array(
        [n for n in range(plan.iterations + 1) if n % plan.evaluate_every == 0 or n == plan.iterations]
    )
    value, poa, gap, weak, lost, lost_wrong = fields  # each [E, B]
    total = coverage(game, adjacency, point.evaluation).augmented_states
    seconds = time.perf_counter() - started
    return Curves(case, dag, eta, plan.seeds, iteration, value, poa, gap, weak, total, lost, lost_wrong, seconds)


def work(case: Case, n_seeds: int, iterations: int) -> float:
    """Work of so many iterations, in arbitrary units, for the estimate of the time left."""
    return float(iterations) * n_seeds * (500 + case.game.n_joint_actions * case.game.n_states)


def _measure(case: Case, adjacency: npt.NDArray[np.int64], point: Checkpoint) -> tuple[npt.NDArray[np.float64], ...]:
    poa = price_of_anarchy(case.game, point.value, case.optimum)  # [B]
    weak = nash_gap(case.game, adjacency, point.evaluation, "state_only")  # [B]
    counts = coverage(case.game, adjacency, point.evaluation)
    return point.value, poa, point.gap, weak, counts.lost.astype(float), counts.lost_wrong.astype(float)

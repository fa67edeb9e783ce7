"""How long exact policy gradients take: one gradient step and one Nash-gap for growing N, and the whole of figure 3.

`python benchmarks/tabular.py` prints two tables and writes results/benchmarks/tabular.json. One thread; times are the
least of several repetitions, which other processes disturb least; the whole figure is timed once.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
from bn_mappo.core.threads import single_threaded  # noqa: E402

single_threaded()

from bn_mappo.analysis.provenance import provenance  # noqa: E402
from bn_mappo.core.progress import progress  # noqa: E402
from bn_mappo.envs.games.coordination_game import tabular_coordination_game  # noqa: E402
from bn_mappo.paper.figure3 import Case, Plan, coordination_cases, run_case, seed_batches, work  # noqa: E402
from bn_mappo.paper.figure3_main import peak_memory_mib  # noqa: E402
from bn_mappo.tabular.best_response import nash_gap  # noqa: E402
from bn_mappo.tabular.dags import DAG_NAMES, named_dag  # noqa: E402
from bn_mappo.tabular.evaluation import evaluate  # noqa: E402
from bn_mappo.tabular.gradient import policy_gradient  # noqa: E402
from bn_mappo.tabular.policy import normal_logits  # noqa: E402

GOAL_SECONDS = 180.0  # for the whole figure on one core
MINIMUM_SECONDS = 1.0  # of repetitions behind each time

Row = dict[str, float | int | str]


def least_seconds(action: Callable[[], object]) -> float:
    """The least time of one call, over at least 3 calls and MINIMUM_SECONDS."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < MINIMUM_SECONDS:
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def time_steps(n_agents: int, dag: str, n_seeds: int) -> Row:
    """Milliseconds for a gradient step and for a Nash-gap, of one seed, when seeds advance in batches."""
    game, adjacency = tabular_coordination_game(n_agents), named_dag(dag, n_agents)
    seeds = next(seed_batches(game, tuple(range(n_seeds))))
    logits = normal_logits(game, adjacency, seeds)
    evaluation = evaluate(game, logits)
    step = least_seconds(lambda: policy_gradient(game, adjacency, evaluate(game, logits)))
    gap = least_seconds(lambda: nash_gap(game, adjacency, evaluation))
    return {
        "n_agents": n_agents,
        "dag": dag,
        "states": game.n_states,
        "parameters": sum(table.size for table in logits) // len(seeds),
        "seeds_in_batch": len(seeds),
        "step_ms_per_seed": 1e3 * step / len(seeds),
        "gap_ms_per_seed": 1e3 * gap / len(seeds),
    }


def time_figure(cases: list[Case], plan: Plan) -> list[Row]:
    """Seconds for every setting of the figure, evaluations included."""
    total = sum(work(case, len(plan.seeds), plan.iterations) for case in cases) * len(plan.dags)
    with progress(total) as report:
        curves = [run_case(case, dag, plan, report) for case in cases for dag in plan.dags]
    return [{"case": c.case.label, "dag": c.dag, "seconds": c.seconds} for c in curves]


def print_growth(rows: Sequence[Row]) -> None:
    """The table of steps, with the factor by which a step grew since the N before."""
    print(f"{'N':>3} {'DAG':<14}{'S':>6}{'theta':>9}{'batch':>7}{'step ms/seed':>14}{'growth':>8}{'gap ms/seed':>13}")
    before: dict[str, float] = {}
    for row in rows:
        dag, step, gap = str(row["dag"]), float(row["step_ms_per_seed"]), float(row["gap_ms_per_seed"])
        growth = f"x{step / before[dag]:.1f}" if dag in before else ""
        before[dag] = step
        head = f"{row['n_agents']:>3} {dag:<14}{row['states']:>6}{row['parameters']:>9}{row['seeds_in_batch']:>7}"
        print(f"{head}{step:>14.4f}{growth:>8}{gap:>13.4f}")


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--n", type=int, nargs="+", default=[2, 3, 5, 7], help="numbers of agents for single steps")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=2000, help="of the whole figure; 0 leaves it out")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "benchmarks" / "tabular.json")
    options = parser.parse_args()
    steps = [time_steps(n, dag, options.seeds) for n in options.n for dag in ("uncorrelated", "line", "full")]
    print_growth(steps)
    figure: list[Row] = []
    seconds = 0.0
    if options.iterations:
        plan = Plan(tuple(range(options.seeds)), options.iterations, 20, "released", DAG_NAMES)
        figure = time_figure(coordination_cases([2, 3, 5], ["inclusive"]), plan)
        seconds = sum(float(row["seconds"]) for row in figure)
        print(
            f"\nFigure 3 (N = 2, 3, 5; 4 DAGs; {options.seeds} seeds; {options.iterations} iterations, gap every 20):"
        )
        for row in figure:
            print(f"  {row['case']:<6}{row['dag']:<14}{row['seconds']:>8.1f} s")
        print(f"  total {seconds:.1f} s (goal: {GOAL_SECONDS:.0f} s)")
    print(f"peak memory {peak_memory_mib():.0f} MiB")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    result = {"provenance": provenance(), "steps": steps, "figure3": figure, "figure3_seconds": seconds}
    options.output.write_text(json.dumps({**result, "peak_memory_mib": peak_memory_mib()}, indent=2) + "\n")


if __name__ == "__main__":
    main()

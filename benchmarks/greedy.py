"""What a policy earns when its DAG, its actions, or both are sampled or at their mode (docs/greedy.md).

    python benchmarks/greedy.py RUN [RUN ...] [--episodes 500] [--json FILE]

RUN is the folder of a recorded run, of any controller. "Greedy" evaluation is the mode of both: no DAG noise, and each
agent's likeliest action in turn. Entropy is that of an agent's action in the sampled policy, in nats.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from torch import Tensor

import bn_mappo
from bn_mappo.analysis.seed_statistics import mean_intervals
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.errors import ConfigError, fail

VARIANTS = {  # name: (is the DAG sampled?, are the actions sampled?)
    "DAG mode, actions likeliest (greedy)": (False, False),
    "DAG sampled, actions likeliest": (True, False),
    "DAG mode, actions sampled": (False, True),
    "DAG sampled, actions sampled": (True, True),
}


def noise_of(mac: Any, samples_dag: bool, samples_actions: bool) -> Callable[..., dict[str, Tensor]]:
    """A replacement of mac.draw_noise that draws, but leaves out what is to be at its mode."""
    draw, of_dag = mac.draw_noise, mac.dag.noise_shapes() if isinstance(mac, DAGMAC) else {}

    def noise(n_games: int, generators: Any, fraction: float, greedy: bool = False) -> dict[str, Tensor]:
        drawn: dict[str, Tensor] = draw(n_games, generators, fraction)
        is_quiet = not samples_dag and not (of_dag and mac.dag.is_random)
        kept = {name: x for name, x in drawn.items() if name not in of_dag or not is_quiet}
        return kept if samples_actions else {name: x for name, x in kept.items() if name != "action_noise"}

    return noise


def measure(folder: str, n_episodes: int) -> list[dict[str, Any]]:
    """A row a variant: mean return, and its 95 % bootstrap interval over episodes."""
    run, rows = bn_mappo.load_run(folder), []
    mac = run.setup.mac
    variants = VARIANTS if isinstance(mac, DAGMAC) else {k: v for k, v in VARIANTS.items() if v[0] == v[1]}
    entropy = next((row["entropy"] for row in reversed(run.rows) if "entropy" in row), float("nan"))
    for name, sampled in variants.items():
        mac.draw_noise = noise_of(mac, *sampled)
        returns = bn_mappo.evaluate(run, n_episodes)["return"]
        del mac.draw_noise
        low, high = (float(bound[0]) for bound in mean_intervals(returns[:, None].astype(float)))
        facts = {"run": folder, "t_env": run.t_env, "entropy": entropy, "variant": name, "episodes": len(returns)}
        rows.append({**facts, "mean": float(np.mean(returns)), "low": low, "high": high})
    return rows


def main() -> None:
    """Measure every run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of recorded runs")
    parser.add_argument("--episodes", type=int, default=500, help="of each variant (default: 500)")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    try:
        rows = [row for folder in options.runs for row in measure(folder, options.episodes)]
    except ConfigError as error:
        fail(error, 2)
    table = Table(title=f"return of {options.episodes} episodes, 95 % interval")
    for column in ("run", "steps", "entropy", "variant", "return"):
        table.add_column(column)
    for row in rows:
        interval = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        table.add_row(row["run"], f"{row['t_env']:,}", f"{row['entropy']:.2f}", row["variant"], interval)
    Console(width=140).print(table)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()

"""Load a recorded run and look at its DAG: python examples/look_at_a_dag.py results/sacred/bn_mappo/aloha/1."""

import sys
from pathlib import Path

import numpy as np

import bn_mappo


def main(folder: str) -> None:
    run = bn_mappo.load_run(folder)
    n_agents = run.setup.info.n_agents
    print(f"{run.config.name} on {run.config.env}, {run.t_env:,} steps, {n_agents} agents")

    dags = bn_mappo.sample_dag(run, n_games=500)
    share = dags.adjacency.mean(0)  # [N, N] how often j is a parent of i
    print(f"density {share.sum() * 2 / max(n_agents * (n_agents - 1), 1):.2f}; the most frequent edges:")
    for edge in np.argsort(-share, axis=None)[:5]:
        parent, child = np.unravel_index(edge, share.shape)
        print(f"  agent {parent} -> agent {child}: in {share[parent, child]:.0%} of the DAGs")

    first = np.bincount(dags.order[:, 0], minlength=n_agents) / len(dags.order)
    print("who acts first:", ", ".join(f"agent {agent} {p:.0%}" for agent, p in enumerate(first) if p > 0.01))
    print("picture:", bn_mappo.draw_dag(run, Path(run.folder) / "dag_of_example.png"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} RUN   (a run's folder)")
    main(sys.argv[1])

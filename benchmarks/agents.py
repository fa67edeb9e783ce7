"""The DAG's networks against the number of agents: parameters, and the time of a forward and backward pass.

    python benchmarks/agents.py [--agents 8 16 32 64 128] [--samples 32] [--json FILE]

Observations are of 10 entries of an agent's own and 8 for each other agent, as on a battlefield. Time is the median of
ten passes on one thread.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from bn_mappo.core.specs import EntityGroup
from bn_mappo.modules.dag.nets import EdgeNet, PairNet

OWN, OTHER, HIDDEN, PASSES = 10, 8, 64, 10


def make(kind: str, n_agents: int, obs_dim: int) -> nn.Module:
    """One network for the edges, of the sizes of the paper's table 2."""
    if kind == "pairs":
        return PairNet(n_agents, obs_dim, EntityGroup("allies", OWN, n_agents - 1, OTHER, are_agents=True), HIDDEN, 0.0)
    return EdgeNet(n_agents, (n_agents, obs_dim), HIDDEN, kind, 0.0)


def seconds(network: nn.Module, context: torch.Tensor) -> float:
    """Median time of a pass."""
    times = []
    for _ in range(PASSES + 2):
        begin = time.perf_counter()
        network(context).square().mean().backward()
        times.append(time.perf_counter() - begin)
    return median(times[2:])


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--agents", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    options.add_argument("--samples", type=int, default=32, help="states of one pass (default: 32)")
    options.add_argument("--json", type=Path, help="file for the numbers")
    given = options.parse_args()
    torch.set_num_threads(1)
    rows = []
    for n_agents in given.agents:
        obs_dim = OWN + OTHER * (n_agents - 1)
        context = torch.randn(given.samples, n_agents, obs_dim)
        for kind in ("mlp", "deep_set", "pairs"):
            network = make(kind, n_agents, obs_dim)
            n_parameters = sum(parameter.numel() for parameter in network.parameters())
            rows.append(
                {"agents": n_agents, "net": kind, "parameters": n_parameters, "ms": 1e3 * seconds(network, context)}
            )
    table = Table(
        "agents", "dag.edge_net", "parameters", f"ms for {given.samples} states", title="Networks of the edges"
    )
    for row in rows:
        table.add_row(str(row["agents"]), row["net"], f"{row['parameters']:,}", f"{row['ms']:.2f}")
    Console().print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Time of one joint step of acting, by number of agents and depth of the DAG: it may grow with the depth.

    python benchmarks/acting.py [--games 32] [--agents 10 20 40] [--depths 0 1 4 9] [--json FILE]

Aloha with bn_mappo's networks, untrained but for one thing: what parents say is made to count for more than all else,
so that every child changes its mind with them. That is the worst case, near depth + 2 passes; trained ones take fewer.
A DAG of depth d is made of d + 1 layers of agents, each the parents of the next.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bn_mappo.config.loading import load_layers, overlay
from bn_mappo.config.schema import validate
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.training.acting import to_step
from bn_mappo.training.build import build

ROUNDS, STEPS = 7, 20
MESSAGE_SCALE = 1000.0  # times the first weights of what is heard


def layered(n_agents: int, depth: int) -> list[list[int]]:
    """adjacency[j][i] = 1 where j's layer comes directly before i's; depth + 1 layers."""
    layer = np.arange(n_agents) * (depth + 1) // n_agents  # [N]
    adjacency: list[list[int]] = (layer[:, None] + 1 == layer).astype(int).tolist()
    return adjacency


def milliseconds(n_agents: int, depth: int, n_games: int) -> float:
    """Best of ROUNDS times of a step of acting."""
    updates = {
        "env_args": {"rows": 2, "columns": n_agents // 2},
        "batch_size_run": n_games,
        "dag": {"generator": "fixed", "adjacency": layered(n_agents, depth)},
        "torch_threads": 1,
    }
    config = validate(overlay(load_layers("bn_mappo", "aloha"), updates))
    setup, env = build(config), make_vec_env(config, n_games, "benchmark")
    with torch.no_grad():
        setup.mac.actor.parent_head.weight.mul_(MESSAGE_SCALE)
    last = torch.zeros(n_games, n_agents, dtype=torch.long)
    step = to_step(env.reset(), last, torch.ones(n_games), torch.device("cpu"))
    hidden, noise = setup.mac.init_hidden(n_games), setup.mac.draw_noise(n_games, setup.generators, 0.0)
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(STEPS):
            setup.mac.select_actions(step, hidden, noise)
        times.append((time.perf_counter() - begin) / STEPS)
    return 1000 * min(times)


def main() -> None:
    """Time every pair and print ms a step, and the ratio to depth 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=32)
    parser.add_argument("--agents", type=int, nargs="+", default=[10, 20, 40], help="even numbers")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1, 4, 9], help="edges on the longest path")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    if any(n < 2 or n % 2 for n in options.agents) or min(options.depths) < 0:
        parser.error("--agents takes even numbers of at least 2, --depths numbers of at least 0")
    table = Table(title=f"acting, {options.games} games, one thread: ms a step (times depth {options.depths[0]})")
    for column in ("agents", *(f"depth {depth}" for depth in options.depths)):
        table.add_column(column, justify="right")
    rows = []
    for n_agents in options.agents:
        depths = [depth for depth in options.depths if depth < n_agents]
        times = [milliseconds(n_agents, depth, options.games) for depth in depths]
        rows += [{"agents": n_agents, "depth": d, "ms": ms} for d, ms in zip(depths, times, strict=True)]
        table.add_row(str(n_agents), *(f"{ms:.2f} ({ms / times[0]:.1f})" for ms in times))
    Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()

"""Latency of one agent's decision and size of its files: exported, and in torch (docs/export.md).

    python benchmarks/export.py RUN [--decisions 3000] [--agent 0] [--json FILE]

RUN is the folder of a recorded run. It is exported to a temporary folder in both formats. A decision is one call with
one row: observation in, action out; of a communicating policy with the messages of its parents already there. "Whole
team" is the controller's own step, of all agents at once, as in training. One thread.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import bn_mappo
from bn_mappo.controllers.basic_controller import Step
from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.export.folder import Plan, export_run
from bn_mappo.export.graphs import policy_graph
from bn_mappo.export.team import ExportedTeam, Seen
from bn_mappo.training.trained import Run

WARM_UP = 200  # calls before the clock runs


def times(call: Callable[[], Any], n_calls: int) -> np.ndarray:
    """Microseconds of each call, [n_calls]."""
    for _ in range(WARM_UP):
        call()
    found = np.empty(n_calls)
    for k in range(n_calls):
        begin = time.perf_counter_ns()
        call()
        found[k] = (time.perf_counter_ns() - begin) / 1000
    return found


def inputs_of(team: ExportedTeam, agent: int) -> dict[str, np.ndarray]:
    """One row of what an agent sees: noise, for the time does not depend on it."""
    contract, n_agents = team.contract, team.n_agents
    draw = np.random.default_rng(0)
    obs = draw.random((1, n_agents, contract.obs_dim), np.float32)
    avail = np.ones((1, n_agents, contract.n_actions), bool) if contract.masks_actions else None
    hidden = np.zeros((1, n_agents, contract.recurrent_width), np.float32)
    inputs = Seen(obs, avail, np.zeros((1, n_agents), np.int64), hidden).of(agent)
    if contract.communication is not None:
        width = contract.communication.message_dim
        inputs["messages"] = draw.random((1, n_agents, width), np.float32)
        inputs["parents"] = np.ones((1, n_agents), np.float32)
        inputs["parents"][0, agent] = 0
        inputs["action"], inputs["context"] = np.zeros(1, np.int64), obs
    return inputs


def measure(run: Run, agent: int, n_calls: int) -> list[dict[str, Any]]:
    """A row a way to decide."""
    mac, rows = run.setup.mac, []

    def add(name: str, call: Callable[[], Any], megabytes: float) -> None:
        found = times(call, n_calls)
        p50, p99 = np.percentile(found, [50, 99])
        rows.append({"what": name, "p50_us": float(p50), "p99_us": float(p99), "megabytes": megabytes})

    with tempfile.TemporaryDirectory() as place:
        for file_format in ("onnx", "torch"):
            plan = Plan(file_format, allow_communication=True, n_steps=500, n_games=2)
            folder = export_run(run, Path(place) / file_format, plan).folder
            team = ExportedTeam(folder)
            inputs, of_agent, files = inputs_of(team, agent), team.agents[agent], folder / f"agent_{agent}"
            label = "onnxruntime" if file_format == "onnx" else "torch.export"
            described = of_agent.contract.communication
            size = (files / of_agent.contract.policy.file).stat().st_size / 1e6
            add(f"{label}: policy", lambda inputs=inputs, net=of_agent.policy: net(inputs), size)
            if described is not None and of_agent.message is not None and team.dag is not None:
                sizes = [(files / each.file).stat().st_size / 1e6 for each in (described.message, described.dag)]
                add(f"{label}: message", lambda inputs=inputs, net=of_agent.message: net(inputs), sizes[0])
                if described.dag_context == "obs":
                    add(f"{label}: DAG of the team", lambda inputs=inputs, net=team.dag: net(inputs), sizes[1])
    communicates = described is not None
    graph = policy_graph(mac, agent, communicates)
    tensors = {name: torch.from_numpy(inputs[name]) for name in graph.example}
    size = sum(weight.numel() for weight in graph.module.parameters()) * 4 / 1e6
    with torch.inference_mode():
        add("torch: policy", lambda: graph.module(**tensors), size)
        info, hidden = run.setup.info, mac.init_hidden(1)
        avail = torch.ones(1, info.n_agents, info.n_actions, dtype=torch.bool) if info.masks_actions else None
        obs, state = torch.rand(1, info.n_agents, info.obs_dim), torch.rand(1, info.state_dim)
        step = Step(obs, state, avail, torch.zeros(1, info.n_agents, dtype=torch.int64), torch.zeros(1))
        size = sum(weight.numel() for weight in mac.parameters()) * 4 / 1e6
        add(f"torch: whole team of {info.n_agents}", lambda: mac.select_actions(step, hidden, {}), size)
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="folder of a recorded run")
    parser.add_argument("--decisions", type=int, default=3000, help="timed calls of each (default: 3000)")
    parser.add_argument("--agent", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        rows = measure(bn_mappo.load_run(options.run), options.agent, options.decisions)
    except ConfigError as error:
        fail(error, 2)
    table = Table(title=f"one decision, {options.decisions} calls")
    for column in ("", "p50, µs", "p99, µs", "MB"):
        table.add_column(column, justify="right" if column else "left")
    for row in rows:
        table.add_row(row["what"], f"{row['p50_us']:.0f}", f"{row['p99_us']:.0f}", f"{row['megabytes']:.3f}")
    Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()

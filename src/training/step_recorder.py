"""Records every step of an evaluation as arrays: actions, DAGs, and what the environment tells of its inside."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.files import write_whole
from bn_mappo.core.specs import Array, StepResult
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.evaluator import StepObserver

STEPS_FILE = "evaluation_steps.npz"


class StepRecorder(StepObserver):
    """Keeps the steps of the episodes that are evaluated, and of no others. Changes nothing of them.

    `columns` returns arrays with the K steps of all episodes on the first axis:

    episode [K], step [K]; actions [K, N]; adjacency [K, N, N] uint8, row: parent; avail_actions [K, N, A] where the
    environment masks; order [K, N], where agents act along a DAG: order[k, r] is the agent that acts r-th; and all of
    `env.diagnostics()`. The episodes are numbered in the order in which they ended, which is that of what `evaluate`
    returns.
    """

    def __init__(self, env: VecEnv):
        self.env = env
        self.rows: dict[str, list[Array]] = defaultdict(list)
        self.n_begun = env.batch_size
        self.running = np.arange(
            env.batch_size
        )  # [B] the episode that each game plays, in the order of their beginnings
        self.clock = np.zeros(env.batch_size, dtype=np.int32)  # [B] steps of it
        self.numbers: dict[int, int] = {}  # of those that have ended, in the order of their ends

    def before(self, step: Step, selection: Selection, counts: Array) -> None:
        n_games, n_agents, _ = step.obs.shape
        here: dict[str, Array] = {
            "running": self.running,
            "step": self.clock,
            "actions": selection.actions.cpu().numpy(),
        }
        none = np.zeros((n_games, n_agents, n_agents))
        adjacency = none if selection.adjacency is None else selection.adjacency.cpu().numpy()
        here["adjacency"] = adjacency.astype(np.uint8)
        if "dag_order" in selection.recorded:
            here["order"] = selection.recorded["dag_order"].cpu().numpy()
        if step.avail_actions is not None:
            here["avail_actions"] = step.avail_actions.cpu().numpy()
        known = self.env.diagnostics()
        if known is not None:
            here |= known._asdict()
        for name, values in here.items():
            compact = values.astype(np.float32) if values.dtype == np.float64 else values
            self.rows[name].append(compact[counts])  # a copy

    def after(self, result: StepResult, counts: Array) -> None:
        self.clock += 1
        done = result.terminated | result.truncated
        ended = counts & done if result.lost is None else counts & done & ~result.lost
        for game in np.flatnonzero(ended):
            self.numbers[int(self.running[game])] = len(self.numbers)
        for game in np.flatnonzero(done):
            self.running[game], self.clock[game] = self.n_begun, 0
            self.n_begun += 1

    def columns(self) -> dict[str, Array]:
        """All steps by episode and step; those of episodes that were lost are no data."""
        everything = {name: np.concatenate(values) for name, values in self.rows.items()}
        begun = everything.pop("running")
        number = np.array([self.numbers.get(k, -1) for k in range(self.n_begun)])[begun]  # [K]
        order = np.lexsort((everything["step"], number))
        order = order[number[order] >= 0]
        return {"episode": number[order], **{name: values[order] for name, values in everything.items()}}


def write_steps(columns: dict[str, Array], episodes: dict[str, Array], folder: Path) -> Path:
    """evaluation_steps.npz in the run's folder; what `evaluate` returns of each episode is in it as episode_NAME."""
    everything: dict[str, Any] = {**columns, **{f"episode_{name}": values for name, values in episodes.items()}}
    return write_whole(folder / STEPS_FILE, lambda file: np.savez_compressed(file, **everything))

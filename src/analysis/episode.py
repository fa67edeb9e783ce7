"""One greedy episode, kept whole: for pictures and for a look at what a DAG does."""

from typing import NamedTuple

import numpy as np
import torch

from controllers.basic_controller import BasicMAC, Selection, Step
from envs import make_vec_env
from envs.vec_env import Array
from runners.evaluation import evaluate
from utils.config import Config


class Episode(NamedTuple):
    """What happened in one game; T steps."""

    obs: Array  # [T, N, D]
    actions: Array  # [T, N]
    adjacency: Array  # [T, N, N]; zeros where agents are independent


def record_episode(config: Config, mac: BasicMAC, t_env: int) -> Episode:
    """Play one greedy episode on an environment of its own."""
    steps: list[tuple[torch.Tensor, ...]] = []

    def keep(step: Step, selection: Selection) -> None:
        n_agents = step.obs.shape[1]
        adjacency = torch.zeros(n_agents, n_agents) if selection.adjacency is None else selection.adjacency[0]
        steps.append((step.obs[0], selection.actions[0], adjacency))

    env = make_vec_env(config, 1, "record")
    try:
        evaluate(env, mac, 1, config.seed, t_env, greedy=True, fraction=1.0, watch=keep)
    finally:
        env.close()
    columns = [torch.stack(list(column)).cpu().numpy() for column in zip(*steps, strict=True)]
    return Episode(*(np.asarray(column) for column in columns))

"""One episode, kept whole: for pictures and replays, and for a look at what a DAG does."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from bn_mappo.config.schema import Config
from bn_mappo.controllers.basic_controller import MAC, Selection, Step
from bn_mappo.core.specs import Array
from bn_mappo.envs.film import Film
from bn_mappo.envs.registry import is_batched, make_vec_env
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.evaluator import StepObserver, evaluate


class Episode(NamedTuple):
    """What happened in one game; T steps."""

    obs: Array  # [T, N, D]
    actions: Array  # [T, N]
    adjacency: Array  # [T, N, N]; zeros where agents are independent
    film: Film | None = None  # where the environment can draw itself; one moment more than steps


class Recorder(StepObserver):
    """Keeps every step of the first game. Owns its film, where there is one."""

    def __init__(self, env: VecEnv):
        self.film = env.film()
        self.steps: list[tuple[torch.Tensor, ...]] = []

    def before(self, step: Step, selection: Selection, counts: Array) -> None:
        n_agents = step.obs.shape[1]
        adjacency = torch.zeros(n_agents, n_agents) if selection.adjacency is None else selection.adjacency[0]
        self.steps.append((step.obs[0], selection.actions[0], adjacency))
        if self.film is not None:
            self.film.record(None if selection.adjacency is None else adjacency.cpu().numpy())

    def episode(self) -> Episode:
        """All of it, once the game has ended."""
        if self.film is not None:
            self.film.record(None)
        obs, actions, adjacency = (
            np.asarray(torch.stack(list(column)).cpu()) for column in zip(*self.steps, strict=True)
        )
        return Episode(obs, actions, adjacency, self.film)


def record_episode(config: Config, mac: MAC, t_env: int, greedy: bool = True, fraction: float = 1.0) -> Episode:
    """Play one episode on an environment of its own, on arrays where it can be, for only those draw themselves."""
    if is_batched(config.env):
        config = replace(config, runner="vector")
    env = make_vec_env(config, 1, "record")
    try:
        recorder = Recorder(env)
        evaluate(env, mac, 1, config.seed, t_env, greedy, fraction, recorder)
        return recorder.episode()
    finally:
        env.close()

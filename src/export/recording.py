"""Steps of greedy play, recorded with all that agents see and all that the controller makes of it."""

from typing import Any, NamedTuple

import numpy as np
import torch

from bn_mappo.controllers.basic_controller import BasicMAC, Selection, Step
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.specs import Array, StepResult
from bn_mappo.training.evaluator import StepObserver


class Steps(NamedTuple):
    """K recorded steps of the team."""

    obs: Array  # [K, N, D]
    state: Array  # [K, S]
    avail_actions: Array | None  # [K, N, A]
    last_actions: Array  # [K, N]; -1 at the start of an episode
    hidden: Array  # [K, N, H] before the step; zeros at the start of an episode
    adjacency: Array  # [K, N, N]
    actions: Array  # [K, N]
    logits: Array  # [K, N, A] of the controller, masked

    @property
    def density(self) -> Array:
        """Share of the edges that a DAG can have, of each step, [K]."""
        n_agents = self.adjacency.shape[-1]
        return self.adjacency.sum((1, 2)) * (2 / max(n_agents * (n_agents - 1), 1))


class ReferenceRecorder(StepObserver):
    """Keeps the first `n_steps` joint steps of an evaluation, with the controller's own logits."""

    def __init__(self, mac: BasicMAC, n_steps: int):
        self.mac, self.n_steps, self.n_kept = mac, n_steps, 0
        self.rows: list[tuple[Array | None, ...]] = []
        self.hidden: torch.Tensor | None = None  # [B, N, H] after the step before

    @property
    def is_full(self) -> bool:
        """Whether it has as many steps as it wants."""
        return self.n_kept >= self.n_steps

    @torch.inference_mode()
    def before(self, step: Step, selection: Selection, counts: Array) -> None:
        if self.is_full:
            return
        n_games = len(step.obs)
        hidden = self.mac.init_hidden(n_games) if self.hidden is None else self.hidden  # [B, N, H]
        hidden = hidden * (1 - step.episode_start)[:, None, None]
        self.hidden = selection.hidden
        own, _ = self.mac.encode_step(step, hidden)
        if isinstance(self.mac, DAGMAC) and selection.adjacency is not None:
            logits = self.mac.local_logits(selection.adjacency, own, step.obs, selection.actions)
        else:
            logits = self.mac.actor.logits(own)  # [N, B, A]
        masked = self.mac.masked(logits, step.avail_actions).permute(1, 2, 0)  # [B, N, A]
        n_agents = step.obs.shape[1]
        none = torch.zeros(n_games, n_agents, n_agents)
        adjacency = none if selection.adjacency is None else selection.adjacency
        columns = (step.obs, step.state, step.avail_actions, step.last_actions, hidden, adjacency, selection.actions)
        self.rows.append(tuple(None if x is None else x.cpu().numpy().copy() for x in (*columns, masked)))
        self.n_kept += n_games

    def after(self, result: StepResult, counts: Array) -> None:
        """Nothing: the next `before` shows what came of it."""

    def steps(self) -> Steps:
        """All that was recorded."""
        columns = list(zip(*self.rows, strict=True))
        stacked: list[Any] = []
        for column in columns:
            present = [values for values in column if values is not None]
            stacked.append(np.concatenate(present)[: self.n_steps] if present else None)
        return Steps(*stacked)

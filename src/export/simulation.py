"""A team with faults in one process: what agents in processes of their own come to, in many games at once."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.specs import Array
from bn_mappo.export.runtime.agent import Missing
from bn_mappo.export.runtime.faults import Faults
from bn_mappo.export.team import ExportedTeam, see


class FaultyTeam(ExportedTeam):
    """An exported team whose messages and actions get lost. Unlike other teams it keeps something between calls: how
    many steps there have been, and the last messages, so it plays one evaluation."""

    def __init__(self, folder: Path, faults: Faults, missing_message: Missing, missing_action: str, patience_ms: float):
        """A message that takes longer than `patience_ms` counts as lost."""
        super().__init__(folder)
        self.faults, self.missing_message, self.missing_action = faults, missing_message, missing_action
        self.patience_ms, self.tick = patience_ms, -1
        self.last: Array | None = None  # [B, N, N, M] the last message from j that reached i in this episode
        self.has_last: Array | None = None  # [B, N, N] bool

    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games; what is lost depends on the number of the step, and on the game's row."""
        self.tick += 1
        seen, adjacency = see(step, hidden), self.adjacency(step.obs.numpy(), step.state.numpy())
        n_games = len(seen.obs)
        if adjacency is None or self.contract.communication is None:
            acted = self.act(seen, None)
        else:
            shape = (n_games, self.n_agents, self.n_agents)
            arrives = (adjacency > 0) & ~self._lost(n_games)  # [B, N, N]
            if self.last is None or self.has_last is None:
                self.last = np.zeros((*shape, self.contract.communication.message_dim), np.float32)
                self.has_last = np.zeros(shape, dtype=bool)
            begins = step.episode_start.numpy() > 0  # [B]
            has_last, last = self.has_last & ~begins[:, None, None], self.last
            stands_in = has_last if self.missing_message == "last" else np.zeros_like(has_last)

            def deliver(adjacency: Array, sent: Array) -> tuple[Array, Array]:
                there = (adjacency > 0) & (arrives | stands_in)
                return np.where(arrives[..., None], sent[:, :, None], last) * there[..., None], there

            acted = self.act(seen, adjacency, deliver=deliver)
            sent = self.messages(acted.actions, seen.obs)[:, :, None]  # [B, N, 1, M]
            self.last, self.has_last = np.where(arrives[..., None], sent, last), has_last | arrives
        lost = self.faults.lost_actions(self.tick, self.n_agents, n_games)  # [B, N]
        actions = np.where(lost, self._instead(seen.last_actions, seen.avail_actions), acted.actions)
        shown = None if adjacency is None else torch.from_numpy(adjacency)
        return Selection(torch.from_numpy(actions), torch.from_numpy(acted.hidden), {}, shown)

    def _lost(self, n_games: int) -> Array:
        """Messages that do not arrive in time, [B, N, N]."""
        lost = self.faults.lost_messages(self.tick, self.n_agents, n_games)
        if self.faults.delay_ms:
            lost |= self.faults.delays_ms(self.tick, self.n_agents, n_games) > self.patience_ms
        if self.faults.is_dead(self.tick):
            lost[:, self.faults.dead_agent] = True
        return lost

    def _instead(self, last_actions: Array, avail_actions: Array | None) -> Array:
        """What stands for an action that does not arrive, [B, N]: the last one where possible, else the first."""
        possible = (
            np.ones((*last_actions.shape, self.contract.n_actions), bool) if avail_actions is None else avail_actions
        )
        can_repeat = (last_actions >= 0) & np.take_along_axis(possible, last_actions.clip(0)[..., None], -1)[..., 0]
        repeats = can_repeat if self.missing_action == "last" else np.zeros_like(can_repeat)
        return np.where(repeats, last_actions, possible.argmax(-1))

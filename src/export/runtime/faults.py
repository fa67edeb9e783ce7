"""Faults put into a team on purpose: lost messages, lost actions, delays, and an agent that dies.

Which message is lost depends on (seed, tick, sender, receiver) alone: agents in processes of their own and a simulation
in one process lose the same ones.
"""

from dataclasses import dataclass

import numpy as np

from bn_mappo.core.specs import Array


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong. A tick is one joint step; ticks count on through the games of a session."""

    message_loss: float = 0.0  # probability that a message between agents never arrives
    action_loss: float = 0.0  # probability that an agent's action never arrives at the environment
    delay_ms: float = 0.0  # mean of the exponentially distributed delay of a message between agents
    dead_agent: int = -1  # that ends at dead_tick; -1: none
    dead_tick: int = 0
    seed: int = 0

    def lost_messages(self, tick: int, n_agents: int, n_games: int = 1) -> Array:
        """Whether the message from j to i gets lost, [B, N, N] bool (row: sender)."""
        return self._uniform((n_games, n_agents, n_agents), tick, 0) < self.message_loss

    def lost_actions(self, tick: int, n_agents: int, n_games: int = 1) -> Array:
        """Whether an agent's action does not arrive, [B, N] bool."""
        lost = self._uniform((n_games, n_agents), tick, 1) < self.action_loss
        if self.is_dead(tick):
            lost[:, self.dead_agent] = True
        return lost

    def delays_ms(self, tick: int, n_agents: int, n_games: int = 1) -> Array:
        """How long each message takes, [B, N, N] in milliseconds: -delay_ms * log(1 - U)."""
        return -self.delay_ms * np.log1p(-self._uniform((n_games, n_agents, n_agents), tick, 2))

    def is_dead(self, tick: int) -> bool:
        """Whether the agent that dies has died."""
        return self.dead_agent >= 0 and tick >= self.dead_tick

    def _uniform(self, shape: tuple[int, ...], tick: int, kind: int) -> Array:
        return np.random.default_rng([self.seed, kind, tick]).random(shape)

"""Encoders of an agent's own observation; they do not see its parents."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from bn_mappo.modules.agents.actor import Encoding
from bn_mappo.modules.layers import AgentLinear


class Encoder(nn.Module, ABC):
    """Features [N, M, H] of the observation. The recurrent state, `hidden_size` wide, is an argument and a result."""

    hidden_size: int

    @abstractmethod
    def __init__(self, groups: int, obs_dim: int, hidden_dim: int, depth: int, generator: torch.Generator):
        """`groups`: 1 or N sets of weights; `depth`: 2, or 1 where the caller adds the second layer."""
        super().__init__()

    @abstractmethod
    def forward(self, obs: Tensor, hidden: Tensor, starts: Tensor) -> Encoding:
        """obs [N, M, D], M = B T; hidden [N, B, H_rnn] before the first step; starts [B, T], 1 where episodes start."""


class MLPEncoder(Encoder):
    """FC ReLU FC ReLU; with `depth` 1 a single FC, whose ReLU is applied after the parents' part is added."""

    hidden_size = 0

    def __init__(self, groups: int, obs_dim: int, hidden_dim: int, depth: int, generator: torch.Generator):
        super().__init__(groups, obs_dim, hidden_dim, depth, generator)
        self.fc1 = AgentLinear(groups, obs_dim, hidden_dim, generator)
        self.fc2 = AgentLinear(groups, hidden_dim, hidden_dim, generator) if depth == 2 else None

    def forward(self, obs: Tensor, hidden: Tensor, starts: Tensor) -> Encoding:
        x = self.fc1(obs)  # [N, M, H]
        if self.fc2 is not None:
            x = torch.relu(self.fc2(torch.relu(x)))  # [N, M, H]
        return Encoding(x, hidden)


class RNNEncoder(Encoder):
    """FC ReLU GRU; with `depth` 1 one more FC, whose ReLU is applied after the parents' part is added."""

    def __init__(self, groups: int, obs_dim: int, hidden_dim: int, depth: int, generator: torch.Generator):
        super().__init__(groups, obs_dim, hidden_dim, depth, generator)
        self.hidden_size = hidden_dim
        self.fc1 = AgentLinear(groups, obs_dim, hidden_dim, generator)
        self.input_gates = AgentLinear(groups, hidden_dim, 3 * hidden_dim, generator, gain=1.0)
        self.hidden_gates = AgentLinear(groups, hidden_dim, 3 * hidden_dim, generator, gain=1.0)
        self.fc2 = AgentLinear(groups, hidden_dim, hidden_dim, generator) if depth == 1 else None

    def forward(self, obs: Tensor, hidden: Tensor, starts: Tensor) -> Encoding:
        gates = self.input_gates(torch.relu(self.fc1(obs))).unflatten(1, starts.shape)  # [N, B, T, 3H]
        keep = (1 - starts).unsqueeze(-1)  # [B, T, 1]
        outputs = []
        for t in range(starts.shape[1]):
            hidden = self._gru_step(gates[:, :, t], hidden * keep[:, t])  # [N, B, H]
            outputs.append(hidden)
        x = torch.stack(outputs, dim=2).flatten(1, 2)  # [N, M, H]
        return Encoding(x if self.fc2 is None else self.fc2(x), hidden)

    def _gru_step(self, gates: Tensor, hidden: Tensor) -> Tensor:
        """One step of a gated recurrent unit, as torch.nn.GRUCell defines it."""
        reset, update, candidate = gates.chunk(3, dim=-1)
        reset_h, update_h, candidate_h = self.hidden_gates(hidden).chunk(3, dim=-1)
        update = torch.sigmoid(update + update_h)
        candidate = torch.tanh(candidate + torch.sigmoid(reset + reset_h) * candidate_h)
        return candidate + update * (hidden - candidate)

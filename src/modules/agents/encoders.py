"""Encoders of an agent's own observation; they do not see its parents."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from bn_mappo.modules.agents.actor import Encoding
from bn_mappo.modules.gru import gru
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
        n_agents, groups = len(obs), self.hidden_gates.groups
        gates = self.input_gates(torch.relu(self.fc1(obs))).unflatten(1, starts.shape)  # [N, B, T, 3H]
        gates = gates.movedim(2, 0).unflatten(1, (groups, -1)).flatten(2, 3)  # [T, G, N / G * B, 3H]
        keep = (1 - starts).T.repeat(1, n_agents // groups)[:, None, :, None]  # [T, 1, N / G * B, 1]
        states = gru(gates, hidden.reshape(groups, -1, self.hidden_size), keep, *self.hidden_gates.by_group())
        states = states.view(len(states), *hidden.shape)  # [T, N, B, H]
        x = states.movedim(0, 2).flatten(1, 2)  # [N, M, H]
        return Encoding(x if self.fc2 is None else self.fc2(x), states[-1])

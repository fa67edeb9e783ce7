"""From the values of the agents' own actions to those that are learned: each agent's, or one of the team."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bn_mappo.core.options import Count, NoOptions, Positive, options
from bn_mappo.core.registry import Registry
from bn_mappo.core.specs import EnvInfo
from bn_mappo.modules.layers import AgentLinear

REGISTRY: Registry = Registry("mixer")


class Mixer(nn.Module, ABC):
    """Q_tot(s, Q_1, ..., Q_N), rising in every Q_i: then the best joint action is made of each agent's own best."""

    Options: ClassVar[type] = NoOptions
    is_per_agent: ClassVar[bool] = False  # whether it gives N values a step, or one
    needs_state: ClassVar[bool] = False

    def __init__(self, options: Any, info: EnvInfo, generator: torch.Generator):
        super().__init__()

    @abstractmethod
    def forward(self, values: Tensor, state: Tensor | None) -> Tensor:
        """Values [..., N] and, where it needs them, states [..., S] -> [..., V]."""


@REGISTRY.register("none", "each agent learns a value of its own (IQL)")
class NoMixer(Mixer):
    """Q_i as they are (Tan 1993): every agent learns as if it were alone."""

    is_per_agent = True

    def forward(self, values: Tensor, state: Tensor | None) -> Tensor:
        return values


@REGISTRY.register("vdn", "the sum of the agents' values (VDN)")
class SumMixer(Mixer):
    """Q_tot = sum_i Q_i (Sunehag et al. 2018)."""

    def forward(self, values: Tensor, state: Tensor | None) -> Tensor:
        return values.sum(-1, keepdim=True)


@options
class MonotonicOptions:
    """Keys of mixer=qmix."""

    mixing_dim: Count
    hypernet_dim: Count
    hypernet_gain: Positive
    state_layer_norm: bool


@REGISTRY.register("qmix", "a network with weights from the state, none of them negative (QMIX)")
class MonotonicMixer(Mixer):
    """Q_tot = |w2(s)|^T ELU(|W1(s)| Q + b1(s)) + b2(s) (Rashid et al. 2018, equation 5 and figure 2).

    W1 [E, N] and w2 [E] are networks of the state with one hidden layer, b1 is linear, and b2 has one hidden layer of
    the width E. No weight is negative and ELU rises, so dQ_tot / dQ_i >= 0.
    """

    Options = MonotonicOptions
    needs_state = True

    def __init__(self, options: MonotonicOptions, info: EnvInfo, generator: torch.Generator):
        super().__init__(options, info, generator)
        self.shape = (options.mixing_dim, info.n_agents)  # E, N
        width, n_weights, state_dim = options.mixing_dim, options.mixing_dim * info.n_agents, info.state_dim

        def network(hidden: int, outputs: int) -> nn.Sequential:
            first = AgentLinear(1, state_dim, hidden, generator)  # shared weights take any leading shape
            return nn.Sequential(first, nn.ReLU(), AgentLinear(1, hidden, outputs, generator, options.hypernet_gain))

        self.first_weight = network(options.hypernet_dim, n_weights)
        self.second_weight = network(options.hypernet_dim, width)
        self.first_bias = AgentLinear(1, state_dim, width, generator, options.hypernet_gain)
        self.state_shape = (state_dim,) if options.state_layer_norm else None
        self.second_bias = network(width, 1)

    def forward(self, values: Tensor, state: Tensor | None) -> Tensor:
        assert state is not None, "it needs the state"
        if self.state_shape is not None:
            state = functional.layer_norm(state, self.state_shape)
        weight = self.first_weight(state).abs().unflatten(-1, self.shape)  # [..., E, N]
        mixed = (weight @ values.unsqueeze(-1)).squeeze(-1)  # [..., E]
        hidden = functional.elu(mixed + self.first_bias(state))  # [..., E]
        total = (self.second_weight(state).abs() * hidden).sum(-1, keepdim=True)  # [..., 1]
        return total + self.second_bias(state)

"""State values: of the team from the state, of each agent from its own observation, or those of a controller."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from bn_mappo.core.options import NoOptions, options
from bn_mappo.core.registry import Registry
from bn_mappo.core.schedules import PositiveSchedule
from bn_mappo.core.specs import EnvInfo
from bn_mappo.modules.layers import AgentLinear

REGISTRY: Registry = Registry("critic_type")


class Critic(nn.Module, ABC):
    """Values from one recorded field; `field` names it."""

    Options: ClassVar[type] = NoOptions
    field: str  # the recorded field that it reads
    is_per_agent: bool  # whether it gives N values a step, or one

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The field [..., S] or [..., N, D] -> [..., V], V = 1 or N values a step."""


@options
class OwnCriticOptions:
    """Keys of a critic that is a network of its own."""

    critic_lr: PositiveSchedule


class OwnCritic(Critic):
    """A network of its own: Base -> FC(1)."""

    Options = OwnCriticOptions

    def __init__(self, input_dim: int, hidden_dim: int, generator: torch.Generator):
        super().__init__()
        self.fc1 = AgentLinear(1, input_dim, hidden_dim, generator)  # shared weights take any leading shape
        self.fc2 = AgentLinear(1, hidden_dim, hidden_dim, generator)
        self.head = AgentLinear(1, hidden_dim, 1, generator, gain=1.0)

    def base(self, x: Tensor) -> Tensor:
        """[..., D] -> [...]."""
        y: Tensor = self.head(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
        return y.squeeze(-1)


@REGISTRY.register("cv_critic", "one value of the whole state (MAPPO)")
class StateCritic(OwnCritic):
    """V(s), one value a step: [..., S] -> [..., 1], the same for every agent."""

    field, is_per_agent = "state", False

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__(info.state_dim, hidden_dim, generator)

    def forward(self, state: Tensor) -> Tensor:
        return self.base(state).unsqueeze(-1)


@REGISTRY.register("ac_critic", "a value of each agent's own observation (IPPO)")
class ObsCritic(OwnCritic):
    """V(o^i) with the agent's number: [..., N, D] -> [..., N]."""

    field, is_per_agent = "obs", True
    agent_ids: Tensor

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__(info.obs_dim + info.n_agents, hidden_dim, generator)
        self.register_buffer("agent_ids", torch.eye(info.n_agents), persistent=False)  # [N, N]

    def forward(self, obs: Tensor) -> Tensor:
        ids = self.agent_ids.expand(*obs.shape[:-1], -1)  # [..., N, N]
        return self.base(torch.cat([obs, ids], dim=-1))


@REGISTRY.register("mac_critic", "values of the controller's own network, trained with it (MAT)")
class MACCritic(Critic):
    """The values of a network that also acts: [..., N, D] -> [..., N]. Has no parameters: they are the controller's."""

    field, is_per_agent = "obs", True

    def __init__(self, values: Callable[[Tensor], Tensor]):
        super().__init__()
        self.values = values

    def forward(self, obs: Tensor) -> Tensor:
        return self.values(obs)

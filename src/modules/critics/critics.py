"""State values: of the team from the state, of each agent from its observation or both, or those of a controller."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
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
    """Values from recorded fields; `fields` names them."""

    Options: ClassVar[type] = NoOptions
    fields: tuple[str, ...]  # the recorded fields that it reads: state, obs
    is_per_agent: bool  # whether it gives N values a step, or one

    @abstractmethod
    def forward(self, fields: Mapping[str, Tensor]) -> Tensor:
        """The fields, of state [..., S] and obs [..., N, D] at least its own -> [..., V], V = 1 or N values a step."""

    @property
    @abstractmethod
    def last_layer(self) -> AgentLinear:
        """The linear layer that puts out the values; has a bias."""

    @torch.no_grad()
    def rescale(self, scale: Tensor, shift: Tensor) -> None:
        """From now on put out scale * v + shift instead of v."""
        layer = self.last_layer
        assert layer.bias is not None
        layer.weight.mul_(scale)
        layer.bias.mul_(scale).add_(shift)


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

    @property
    def last_layer(self) -> AgentLinear:
        return self.head


@REGISTRY.register("cv_critic", "one value of the whole state (MAPPO)")
class StateCritic(OwnCritic):
    """V(s), one value a step: [..., S] -> [..., 1], the same for every agent."""

    fields, is_per_agent = ("state",), False

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__(info.state_dim, hidden_dim, generator)

    def forward(self, fields: Mapping[str, Tensor]) -> Tensor:
        return self.base(fields["state"]).unsqueeze(-1)


@REGISTRY.register("ac_critic", "a value of each agent's own observation (IPPO)")
class ObsCritic(OwnCritic):
    """V(o^i) with the agent's number: [..., N, D] -> [..., N]."""

    fields, is_per_agent = ("obs",), True
    agent_ids: Tensor

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__(info.obs_dim + info.n_agents, hidden_dim, generator)
        self.register_buffer("agent_ids", torch.eye(info.n_agents), persistent=False)  # [N, N]

    def forward(self, fields: Mapping[str, Tensor]) -> Tensor:
        obs = fields["obs"]
        ids = self.agent_ids.expand(*obs.shape[:-1], -1)  # [..., N, N]
        return self.base(torch.cat([obs, ids], dim=-1))


@REGISTRY.register("as_critic", "a value for each agent, of the state and its own observation (MAPPO, agent-specific)")
class AgentSpecificCritic(Critic):
    """V(s, o^i) with the agent's number: [..., S], [..., N, D] -> [..., N].

    MAPPO's agent-specific global state with death masking (Yu et al. 2022, section 5.2 and appendix): an agent whose
    observation is all zeros, as that of a dead one is, has its number for input alone. The state's part of the first
    layer is computed once for all agents.
    """

    Options = OwnCriticOptions
    fields, is_per_agent = ("state", "obs"), True
    agent_ids: Tensor

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__()
        self.state = AgentLinear(1, info.state_dim, hidden_dim, generator, bias=False)
        self.obs = AgentLinear(1, info.obs_dim, hidden_dim, generator, bias=False)
        self.agent = AgentLinear(1, info.n_agents, hidden_dim, generator)
        self.fc2 = AgentLinear(1, hidden_dim, hidden_dim, generator)
        self.head = AgentLinear(1, hidden_dim, 1, generator, gain=1.0)
        self.register_buffer("agent_ids", torch.eye(info.n_agents), persistent=False)  # [N, N]

    def forward(self, fields: Mapping[str, Tensor]) -> Tensor:
        state, obs = fields["state"], fields["obs"]
        is_present = obs.any(dim=-1, keepdim=True)  # [..., N, 1]
        seen: Tensor = self.obs(obs) + self.state(state).unsqueeze(-2)  # [..., N, H]
        first = torch.relu(seen * is_present + self.agent(self.agent_ids))
        y: Tensor = self.head(torch.relu(self.fc2(first)))
        return y.squeeze(-1)

    @property
    def last_layer(self) -> AgentLinear:
        return self.head


@REGISTRY.register("mac_critic", "values of the controller's own network, trained with it (MAT)")
class MACCritic(Critic):
    """The values of a network that also acts: [..., N, D] -> [..., N]. Has no parameters: they are the controller's."""

    fields, is_per_agent = ("obs",), True

    def __init__(self, values: Callable[[Tensor], Tensor], last_layer: Callable[[], AgentLinear]):
        super().__init__()
        self.values, self.layer = values, last_layer

    def forward(self, fields: Mapping[str, Tensor]) -> Tensor:
        return self.values(fields["obs"])

    @property
    def last_layer(self) -> AgentLinear:
        return self.layer()

"""State values: of the team from the state, or of each agent from its own observation."""

import torch
from torch import Tensor, nn

from bn_mappo.core.registry import Registry
from bn_mappo.core.specs import EnvInfo
from bn_mappo.modules.layers import AgentLinear

REGISTRY: Registry = Registry("critic_type")


class Critic(nn.Module):
    """Base -> FC(1) on one recorded field; `field` names it."""

    field: str  # the recorded field that it reads
    is_per_agent: bool  # whether it gives N values a step, or one

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
class StateCritic(Critic):
    """V(s), one value a step: [..., S] -> [..., 1], the same for every agent."""

    field, is_per_agent = "state", False

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__(info.state_dim, hidden_dim, generator)

    def forward(self, state: Tensor) -> Tensor:
        return self.base(state).unsqueeze(-1)


@REGISTRY.register("ac_critic", "a value of each agent's own observation (IPPO)")
class ObsCritic(Critic):
    """V(o^i) with the agent's number: [..., N, D] -> [..., N]."""

    field, is_per_agent = "obs", True
    agent_ids: Tensor

    def __init__(self, info: EnvInfo, hidden_dim: int, generator: torch.Generator):
        super().__init__(info.obs_dim + info.n_agents, hidden_dim, generator)
        self.register_buffer("agent_ids", torch.eye(info.n_agents), persistent=False)  # [N, N]

    def forward(self, obs: Tensor) -> Tensor:
        ids = self.agent_ids.expand(*obs.shape[:-1], -1)  # [..., N, N]
        return self.base(torch.cat([obs, ids], dim=-1))

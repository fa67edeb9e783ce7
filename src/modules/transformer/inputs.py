"""What a transformer reads of each agent, as its first token."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bn_mappo.modules.layers import AgentLinear
from bn_mappo.modules.transformer.attention import TransformerSizes


class OwnInput(nn.Module):
    """FC GELU LayerNorm of an agent's observation and, with `names_agents`, its one-hot number."""

    def __init__(self, sizes: TransformerSizes, generator: torch.Generator):
        super().__init__()
        self.obs_dim, self.names_agents = sizes.obs_dim, sizes.names_agents
        n_inputs = sizes.obs_dim + sizes.n_agents * sizes.names_agents
        self.fc = AgentLinear(1, n_inputs, sizes.hidden_dim, generator)
        self.norm = nn.LayerNorm(sizes.hidden_dim)

    def forward(self, obs: Tensor) -> Tensor:
        """[M, N, D] -> [M, N, H]."""
        of_obs, of_number = self.fc.weight[:, : self.obs_dim], self.fc.weight[:, self.obs_dim :]  # [H, D], [H, N]
        x = functional.linear(obs, of_obs, self.fc.bias)  # [M, N, H]
        if self.names_agents:
            x = x + of_number.T  # the product with one-hot numbers
        token: Tensor = self.norm(functional.gelu(x))
        return token

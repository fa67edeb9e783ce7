"""A value of the state for each agent, who is told by its number."""

import torch as th
from torch import nn


class CentralVCritic(nn.Module):
    def __init__(self, scheme, args):
        super().__init__()
        width, self.n_agents = args.hidden_dim, args.n_agents
        inputs = scheme["state"]["vshape"] + args.n_agents
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def forward(self, batch):
        state = batch["state"].unsqueeze(2).expand(-1, -1, self.n_agents, -1)
        numbers = th.eye(self.n_agents, device=state.device).expand(*state.shape[:2], -1, -1)
        return self.layers(th.cat([state, numbers], dim=-1))  # [B, T + 1, N, 1]

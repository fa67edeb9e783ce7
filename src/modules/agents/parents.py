"""What an agent hears from its parents: one message a parent, summed along the DAG.

A linear layer on the parents' inputs side by side, zeros for non-parents, is sum_j G[j, i] W_j x_j. So each agent's
message W_j x_j is computed once and shared by all its children, and G[j, i] has a gradient for absent edges too.
"""

import torch
from torch import Tensor, nn

from bn_mappo.modules.layers import RELU_GAIN, AgentLinear


class SharedListening(nn.Module):
    """All children weigh a parent alike: message W_j x_j."""

    def __init__(self, n_agents: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = RELU_GAIN):
        super().__init__()
        self.message_dim = outputs
        self.weights = AgentLinear(n_agents, inputs, outputs, generator, gain, bias=False)

    def messages(self, x: Tensor) -> Tensor:
        """x [N, M, inputs] -> [N, M, outputs]."""
        y: Tensor = self.weights(x)
        return y

    def listen(self, adjacency: Tensor, messages: Tensor) -> Tensor:
        """adjacency [M, N, N] and messages [N, M, outputs] of the parents -> [N, M, outputs] for each child."""
        if adjacency.stride(0) == 0:  # one DAG, expanded to all samples
            return (adjacency[0].T @ messages.flatten(1)).view(messages.shape)
        return torch.bmm(adjacency.mT, messages.transpose(0, 1)).transpose(0, 1)


class OwnListening(nn.Module):
    """Each child weighs its parents in its own way: W_ij x_j. The message is x_j itself."""

    def __init__(self, n_agents: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = RELU_GAIN):
        super().__init__()
        self.message_dim = inputs
        self.weights = AgentLinear(n_agents, n_agents * inputs, outputs, generator, gain, bias=False)

    def messages(self, x: Tensor) -> Tensor:
        """x as it is."""
        return x

    def listen(self, adjacency: Tensor, messages: Tensor) -> Tensor:
        """adjacency [M, N, N] and messages [N, M, inputs] of the parents -> [N, M, outputs] for each child."""
        of_child = adjacency.permute(2, 1, 0).contiguous().unsqueeze(2)  # [N, N, 1, M]: samples run along memory
        side_by_side = (of_child * messages.mT).flatten(1, 2).mT  # [N, M, N * inputs]
        heard: Tensor = self.weights(side_by_side)  # [N, M, outputs]
        return heard


Listening = SharedListening | OwnListening

"""How an agent aggregates its parents' actions: one message from each parent, summed along the DAG.

A linear layer on the concatenated inputs of all parents, with zeros for non-parents, is sum_j G[j, i] W_j x_j. So the
message W_j x_j of each agent is computed once and shared by all its children, and G[j, i] has a gradient for absent
edges too.
"""

import torch
from torch import Tensor, nn

from bn_mappo.modules.layers import RELU_GAIN, AgentLinear


class SharedParentAggregation(nn.Module):
    """All children use the same weights for a parent: its message is W_j x_j."""

    def __init__(self, n_agents: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = RELU_GAIN):
        super().__init__()
        self.message_dim = outputs
        self.weights = AgentLinear(n_agents, inputs, outputs, generator, gain, bias=False)

    def messages(self, x: Tensor) -> Tensor:
        """The message of each agent: x [N, M, inputs] -> [N, M, outputs]."""
        y: Tensor = self.weights(x)
        return y

    def aggregate_parents(self, adjacency: Tensor, messages: Tensor) -> Tensor:
        """For each child the sum over its parents: adjacency [M, N, N], messages [N, M, outputs] -> [N, M, outputs]."""
        if adjacency.stride(0) == 0:  # one DAG, expanded to all samples
            return (adjacency[0].T @ messages.flatten(1)).view(messages.shape)
        return torch.bmm(adjacency.mT, messages.transpose(0, 1)).transpose(0, 1)


class PerChildParentAggregation(nn.Module):
    """Each child has its own weights for each parent, W_ij x_j. The message of a parent is x_j itself."""

    def __init__(self, n_agents: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = RELU_GAIN):
        super().__init__()
        self.message_dim = inputs
        self.weights = AgentLinear(n_agents, n_agents * inputs, outputs, generator, gain, bias=False)

    def messages(self, x: Tensor) -> Tensor:
        """The message of each agent: x [N, M, inputs], unchanged."""
        return x

    def aggregate_parents(self, adjacency: Tensor, messages: Tensor) -> Tensor:
        """For each child the sum over its parents: adjacency [M, N, N], messages [N, M, inputs] -> [N, M, outputs]."""
        of_child = adjacency.permute(2, 1, 0).contiguous().unsqueeze(2)  # [N, N, 1, M]: samples are contiguous
        concatenated = (of_child * messages.mT).flatten(1, 2).mT  # [N, M, N * inputs]
        aggregated: Tensor = self.weights(concatenated)  # [N, M, outputs]
        return aggregated


ParentAggregation = SharedParentAggregation | PerChildParentAggregation

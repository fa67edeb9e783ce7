"""What an agent hears from its parents: one message a parent, summed along the DAG.

A linear layer on the parents' inputs side by side, zeros for non-parents, is sum_j G[j, i] W_j x_j. So each agent's
message W_j x_j is computed once and shared by all its children, and the gradient of G[j, i] exists for absent edges too.
"""

import torch
from torch import Tensor, nn

from modules.layers import RELU_GAIN, AgentLinear


class SharedListening(nn.Module):
    """All children weigh a parent alike: message W_j x_j."""

    def __init__(self, n_agents: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = RELU_GAIN):
        super().__init__()
        self.message_dim = outputs
        self.weights = AgentLinear(n_agents, inputs, outputs, generator, gain, bias=False)

    def messages(self, x: Tensor, agents: Tensor | None = None) -> Tensor:
        """x [..., N, inputs] -> [..., N, outputs], or rows of `agents` likewise."""
        y: Tensor = self.weights(x, agents)
        return y

    def listen(self, parents: Tensor, messages: Tensor, agents: Tensor | None = None) -> Tensor:
        """parents [M, C, N] (children's rows of G^T), messages [M, N, outputs] -> [M, C, outputs]."""
        return torch.bmm(parents, messages)


class OwnListening(nn.Module):
    """Each child weighs its parents in its own way: W_ij x_j. The message is x_j itself."""

    def __init__(self, n_agents: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = RELU_GAIN):
        super().__init__()
        self.message_dim = inputs
        self.weights = AgentLinear(n_agents, n_agents * inputs, outputs, generator, gain, bias=False)

    def messages(self, x: Tensor, agents: Tensor | None = None) -> Tensor:
        """x as it is."""
        return x

    def listen(self, parents: Tensor, messages: Tensor, agents: Tensor | None = None) -> Tensor:
        """parents [M, C, N], messages [M, N, inputs] -> [M, C, outputs]; C is N, or 1 with the child's number in `agents`."""
        heard = (parents.unsqueeze(-1) * messages.unsqueeze(1)).flatten(-2)  # [M, C, N * inputs]
        if agents is None:
            y: Tensor = self.weights(heard)
        else:
            y = self.weights(heard.squeeze(1), agents).unsqueeze(1)  # [M, 1, outputs]
        return y


Listening = SharedListening | OwnListening

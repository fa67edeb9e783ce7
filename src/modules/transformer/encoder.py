"""The encoder of the multi-agent transformer: what the observations of all agents mean for each of them."""

import torch
from torch import Tensor, nn

from bn_mappo.modules.transformer.attention import Attention, TransformerSizes, perceptron
from bn_mappo.modules.transformer.inputs import OwnInput


class EncoderBlock(nn.Module):
    """x <- LayerNorm(x + Attention(x)), then x <- LayerNorm(x + MLP(x)), over the agents of each step."""

    def __init__(self, sizes: TransformerSizes, generator: torch.Generator):
        super().__init__()
        width = sizes.hidden_dim
        self.attention = Attention(sizes, generator)
        self.mlp = perceptron(width, width, width, generator, norm=False)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[M, N, H] -> [M, N, H]."""
        x = self.norm1(x + self.attention(x, self.attention.keys_values(x), is_causal=False))
        x = self.norm2(x + self.mlp(x))
        return x


class Encoder(nn.Module):
    """Representations of the joint observation and, from them, a value of each agent (Wen et al. 2022).

    Every agent attends to every other one. Renumbering the agents renumbers what comes out, and changes nothing else.
    """

    def __init__(self, sizes: TransformerSizes, generator: torch.Generator):
        super().__init__()
        width = sizes.hidden_dim
        self.inputs = OwnInput(sizes, generator)
        self.blocks = nn.Sequential(*(EncoderBlock(sizes, generator) for _ in range(sizes.n_blocks)))
        self.value_head = perceptron(width, width, 1, generator, norm=True)

    def forward(self, obs: Tensor) -> Tensor:
        """Observations of all agents [M, N, D] -> representations [M, N, H]."""
        representation: Tensor = self.blocks(self.inputs(obs))
        return representation

    def values(self, representation: Tensor) -> Tensor:
        """V(o^1, ..., o^N) as each agent sees it: representations [M, N, H] -> [M, N]."""
        value: Tensor = self.value_head(representation)  # [M, N, 1]
        return value.squeeze(-1)

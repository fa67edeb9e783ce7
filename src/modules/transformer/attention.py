"""Attention between the agents of a team, in full or one agent at a time with the keys and values of earlier ones."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bn_mappo.core.errors import ConfigError
from bn_mappo.modules.layers import OUTPUT_GAIN, AgentLinear


class TransformerSizes(NamedTuple):
    """Sizes of what a transformer reads and decides."""

    n_agents: int
    n_actions: int
    obs_dim: int
    names_agents: bool  # whether inputs, and codes of actions, come with the agent's number
    hidden_dim: int  # width of all tokens
    n_blocks: int
    n_heads: int


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(d)) V by `n_heads` heads of width d, then a linear layer (Vaswani et al. 2017, equation 1).

    Keys and values are computed apart from the queries, so that a caller can keep those of earlier tokens.
    """

    def __init__(self, sizes: TransformerSizes, generator: torch.Generator):
        super().__init__()
        width, self.n_heads = sizes.hidden_dim, sizes.n_heads
        if width % self.n_heads:
            raise ConfigError(f"n_heads={self.n_heads} must divide hidden_dim={width}: each head has an equal share")
        self.query = AgentLinear(1, width, width, generator, OUTPUT_GAIN)
        self.key_value = AgentLinear(1, width, 2 * width, generator, OUTPUT_GAIN)  # one product is faster than two
        self.out = AgentLinear(1, width, width, generator, OUTPUT_GAIN)

    def keys_values(self, tokens: Tensor) -> Tensor:
        """Keys and values of tokens [M, L, H], side by side: [M, L, 2 H]."""
        keys_values: Tensor = self.key_value(tokens)
        return keys_values

    def forward(self, tokens: Tensor, keys_values: Tensor, is_causal: bool) -> Tensor:
        """What tokens [M, L, H] take from keys and values [M, K, 2 H]; causal: token k from the first k + 1 alone."""
        query = self._by_head(self.query(tokens))  # [M, heads, L, d]
        key, value = (self._by_head(part) for part in keys_values.chunk(2, dim=-1))  # [M, heads, K, d]
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal)  # [M, heads, L, d]
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _by_head(self, tokens: Tensor) -> Tensor:
        """[M, L, H] -> [M, heads, L, d]."""
        return tokens.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def perceptron(inputs: int, hidden: int, outputs: int, generator: torch.Generator, norm: bool) -> nn.Sequential:
    """FC GELU (LayerNorm) FC, with small initial outputs."""
    first = [AgentLinear(1, inputs, hidden, generator), nn.GELU(), *([nn.LayerNorm(hidden)] if norm else [])]
    return nn.Sequential(*first, AgentLinear(1, hidden, outputs, generator, OUTPUT_GAIN))

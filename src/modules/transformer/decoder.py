"""The decoder of the multi-agent transformer: each agent's policy, given what the agents before it have chosen."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bn_mappo.modules.layers import RELU_GAIN
from bn_mappo.modules.transformer.attention import Attention, TransformerSizes, perceptron


class Past(NamedTuple):
    """Keys and values of the earlier tokens of a block, [M, K, 2 H] each."""

    of_actions: Tensor
    of_mixed: Tensor


class DecoderBlock(nn.Module):
    """Causal attention among the actions chosen so far, then of the observations to what came of it, then an MLP.

        x <- LayerNorm(x + Attention(x)),  x <- LayerNorm(e + Attention(e, x)),  x <- LayerNorm(x + MLP(x))

    with e the encoder's representations: they ask, and the actions answer.
    """

    def __init__(self, sizes: TransformerSizes, generator: torch.Generator):
        super().__init__()
        width = sizes.hidden_dim
        self.among_actions = Attention(sizes, generator)
        self.to_actions = Attention(sizes, generator)
        self.mlp = perceptron(width, width, width, generator, norm=False)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, representation: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """x, representation [M, L, H] of L agents that follow those of `past` -> [M, L, H], and the past after them.

        With a past, L is 1: the one agent that is next sees all earlier ones, so nothing needs a mask.
        """
        is_causal = past is None
        of_actions = self.among_actions.keys_values(x)  # [M, L, 2 H]
        if past is not None:
            of_actions = torch.cat([past.of_actions, of_actions], dim=1)  # [M, K + 1, 2 H]
        x = self.norm1(x + self.among_actions(x, of_actions, is_causal))
        of_mixed = self.to_actions.keys_values(x)  # [M, L, 2 H]
        if past is not None:
            of_mixed = torch.cat([past.of_mixed, of_mixed], dim=1)  # [M, K + 1, 2 H]
        x = self.norm2(representation + self.to_actions(representation, of_mixed, is_causal))
        x = self.norm3(x + self.mlp(x))
        return x, Past(of_actions, of_mixed)


class Decoder(nn.Module):
    """pi(a^k | o, a^1, ..., a^{k-1}) of the agents in the order in which they act (Wen et al. 2022).

    The token of the k-th agent is the code of what the one before it chose; that of the first one is a start token.
    With `names_agents` a code also says whose choice it was. The same function serves learning, where all actions are
    known, and acting, one agent at a time on the keys and values of the earlier ones.
    """

    def __init__(self, sizes: TransformerSizes, generator: torch.Generator):
        super().__init__()
        width, self.start, self.names_agents = sizes.hidden_dim, sizes.n_actions, sizes.names_agents
        n_codes = sizes.n_actions + 1 + sizes.n_agents * sizes.names_agents  # actions, the start, agents
        self.codes = nn.Parameter(torch.empty(n_codes, width))
        nn.init.orthogonal_(self.codes, RELU_GAIN, generator=generator)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(DecoderBlock(sizes, generator) for _ in range(sizes.n_blocks))
        self.head = perceptron(width, width, sizes.n_actions, generator, norm=True)

    def first_token(self, n_steps: int) -> Tensor:
        """The token of the agent that acts first, in M steps: [M, 1, H]."""
        return self._token(self.codes[self.start]).expand(n_steps, 1, -1)

    def tokens(self, actions: Tensor, agents: Tensor) -> Tensor:
        """Tokens of the agents after those that chose: actions and the numbers of the agents [M, L] -> [M, L, H]."""
        code = functional.embedding(actions, self.codes)  # [M, L, H]
        if self.names_agents:
            code = code + functional.embedding(agents + self.start + 1, self.codes)
        return self._token(code)

    def _token(self, code: Tensor) -> Tensor:
        token: Tensor = self.norm(functional.gelu(code))
        return token

    def forward(
        self, tokens: Tensor, representation: Tensor, past: list[Past] | None = None
    ) -> tuple[Tensor, list[Past]]:
        """Tokens and representations [M, L, H] of L agents -> their logits [M, L, A], and the past of each block.

        Without a past they are all agents up to some rank; with one it is the next agent alone.
        """
        x, after = tokens, []
        for index, block in enumerate(self.blocks):
            x, present = block(x, representation, None if past is None else past[index])
            after.append(present)
        return self.head(x), after

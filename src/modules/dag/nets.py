"""The networks that read the context: edge logits and permutation logits (paper, table 2)."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bn_mappo.core.specs import Array, EntityGroup
from bn_mappo.modules.sets import array, encode_things, has_loops


def mlp(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with a ReLU between each two, in torch's default initialisation."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class EdgeNet(nn.Module):
    """Edge logits of every ordered pair from the context, [M, K, D] -> [M, N, N].

    The context has K parts: the agents' observations (K = N), or the state (K = 1). Two outputs a pair, edge and no
    edge, of which only the difference counts. `deep_set` encodes each part and averages; `mlp` reads them side by side.
    """

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int, kind: str, bias: float):
        super().__init__()
        self.n_agents, self.is_deep_set, self.bias = n_agents, kind == "deep_set", bias
        n_parts, part_dim = context_shape
        outputs = 2 * n_agents * n_agents
        if self.is_deep_set:
            self.encoder = mlp([part_dim, hidden_dim, hidden_dim, hidden_dim])
            self.decoder = mlp([hidden_dim, hidden_dim, outputs])
        else:
            self.decoder = mlp([n_parts * part_dim, hidden_dim, outputs])

    def forward(self, context: Tensor) -> Tensor:
        code = self.encoder(context).mean(-2) if self.is_deep_set else context.flatten(-2)
        logits = self.decoder(code).unflatten(-1, (self.n_agents, self.n_agents, 2))  # [M, N, N, 2]
        return logits[..., 0] - logits[..., 1] + self.bias


class PairNet(nn.Module):
    """Edge logits of every ordered pair by one network for all pairs, [M, N, D] -> [M, N, N]: ours, not the paper's.

    The logit of j -> i depends on both observations, and on what i sees of j. With x_ij the entries of o_i about j
    (zeros if i does not see j), and c_i = ReLU(FC(the rest of o_i)), it is FC(ReLU(FC(c_i) + FC(c_j) + FC(x_ij))).
    Renumbered agents have renumbered edges, and each weight learns from all pairs.
    """

    others: Tensor

    def __init__(self, n_agents: int, obs_dim: int, allies: EntityGroup, hidden_dim: int, bias: float):
        super().__init__()
        self.n_agents, self.allies, self.bias = n_agents, allies, bias
        everyone = torch.arange(n_agents)
        others = torch.stack([everyone[everyone != agent] for agent in range(n_agents)])  # [N, N - 1]
        self.register_buffer("others", others, persistent=False)
        self.code = nn.Linear(obs_dim - allies.size * allies.width, hidden_dim)
        pair_dim = max(hidden_dim // 4, 1)  # there are N * N of these for one sample
        self.of_child = nn.Linear(hidden_dim, pair_dim)
        self.of_parent = nn.Linear(hidden_dim, pair_dim, bias=False)
        self.of_sight = nn.Linear(allies.width, pair_dim, bias=False)
        self.head = nn.Linear(pair_dim, 1)

    def forward(self, context: Tensor) -> Tensor:
        start, stop = self.allies.start, self.allies.start + self.allies.size * self.allies.width
        rest = torch.cat([context[..., :start], context[..., stop:]], dim=-1)  # [M, N, D - K W]
        head, sight = self.head.weight[0], self.of_sight.weight.mT  # [P], [W, P]
        if has_loops(context):  # the agents are things too: all that see nothing have one code
            codes = encode_things(rest.flatten(0, 1), EntityGroup("agents", 0, 1, rest.shape[-1]), self.code)
            child, parent = self.of_child(codes.table), self.of_parent(codes.table)  # [V + 1, P]
            logits: Tensor = _PairLogits.apply(context, start, codes.which, child, parent, sight, head)
            return logits + (self.head.bias + self.bias)
        code = torch.relu(self.code(rest))  # [M, N, H]
        child, parent = self.of_child(code), self.of_parent(code)  # [M, N, P]
        seen = context[..., start:stop].unflatten(-1, (self.allies.size, self.allies.width))  # [M, N, N - 1, W]
        index = self.others.unsqueeze(-1).expand(len(context), -1, -1, self.allies.width)
        of_pairs = seen.new_zeros(len(context), self.n_agents, self.n_agents, self.allies.width).scatter(2, index, seen)
        x = child.unsqueeze(2) + parent.unsqueeze(1) + of_pairs @ sight  # [M, i, j, P]
        return (torch.relu(x) @ head).mT + (self.head.bias + self.bias)  # [M, j, i]


class _PairLogits(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        obs: Tensor,
        start: int,
        which: Array,
        child: Tensor,
        parent: Tensor,
        sight: Tensor,
        head: Tensor,
    ) -> Tensor:
        from bn_mappo.modules.dag import pair_loops

        given = [x.detach().contiguous() for x in (child, parent, sight, head)]
        ctx.save_for_backward(*given)
        ctx.seen = array(obs), start, which.reshape(obs.shape[:2])  # [M, N]
        logits = obs.new_empty(len(obs), obs.shape[1], obs.shape[1])
        pair_loops.pair_logits(*ctx.seen, *(x.numpy() for x in given), np.empty(len(head), np.float32), logits.numpy())
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from bn_mappo.modules.dag import pair_loops

        given = ctx.saved_tensors
        found = [torch.zeros_like(x) for x in given]
        arrays = [x.numpy() for x in (*given, torch.empty_like(given[-1]), gradients[0].contiguous(), *found)]
        pair_loops.pair_gradients(*ctx.seen, *arrays)
        return None, None, None, *found


class ScoreNet(nn.Module):
    """Score of each agent from the context, [M, K, D] -> [M, N]: who has a high one probably acts early."""

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int):
        super().__init__()
        self.net = mlp([context_shape[0] * context_shape[1], hidden_dim, n_agents])

    def forward(self, context: Tensor) -> Tensor:
        scores: Tensor = self.net(context.flatten(-2))
        return scores


class PermutationNet(nn.Module):
    """Log scores of agent i at rank k from the context, [M, K, D] -> [M, N, N] (rank, agent)."""

    def __init__(self, n_agents: int, context_shape: tuple[int, int], hidden_dim: int):
        super().__init__()
        self.n_agents = n_agents
        self.net = mlp([context_shape[0] * context_shape[1], hidden_dim, n_agents * n_agents])

    def forward(self, context: Tensor) -> Tensor:
        logits = self.net(context.flatten(-2)).unflatten(-1, (self.n_agents, self.n_agents))  # [M, N, N]
        return torch.nn.functional.logsigmoid(logits)

"""Gated recurrent units (Cho et al. 2014, as torch.nn.GRUCell has them) over whole segments, with episodes that end."""

from typing import Any

import torch
from torch import Tensor

from bn_mappo.modules.layers import affine


def gru_step(gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The next hidden state [G, M, H] of `hidden` [G, M, H]; the other arguments are those of `gru`, of one step."""
    reset, update, candidate = gates.chunk(3, dim=-1)
    reset_h, update_h, candidate_h = affine(hidden, weight, bias).chunk(3, dim=-1)
    update = torch.sigmoid(update + update_h)
    candidate = torch.tanh(candidate + torch.sigmoid(reset + reset_h) * candidate_h)
    return candidate + update * (hidden - candidate)


def gru(gates: Tensor, hidden: Tensor, keep: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The hidden states [T, G, M, H] after each of T steps, for G sets of weights.

    `gates` [T, G, M, 3H] is what the inputs add to reset gate, update gate and candidate; `hidden` [G, M, H] comes
    before the first step; `keep` [T, 1, M, 1] is 0 where a step begins with an empty state; `weight` [G, 3H, H] and
    `bias` [G, 3H] are those of the hidden state.
    """
    if torch.is_grad_enabled():
        states: Tensor = _GRU.apply(gates, hidden, keep, weight, bias)
        return states
    found = []
    for of_step, keep_of_step in zip(gates, keep, strict=True):
        hidden = gru_step(of_step, hidden * keep_of_step, weight, bias)
        found.append(hidden)
    return torch.stack(found)


class _GRU(torch.autograd.Function):
    """`gru` with its gradient by hand: what does not go from step to step is computed for all of them at once."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, hidden: Tensor, keep: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        size = hidden.shape[-1]
        states, kept, candidate = (torch.empty_like(gates[..., :size]) for _ in range(3))  # [T, G, M, H] each
        of_hidden, both = torch.empty_like(gates), torch.empty_like(gates[..., : 2 * size])
        for t in range(len(gates)):
            torch.mul(hidden, keep[t], out=kept[t])
            torch.baddbmm(bias.unsqueeze(1), kept[t], weight.mT, out=of_hidden[t])
            torch.add(gates[t, ..., : 2 * size], of_hidden[t, ..., : 2 * size], out=both[t]).sigmoid_()
            reset, update = both[t].split(size, dim=-1)
            torch.addcmul(gates[t, ..., 2 * size :], reset, of_hidden[t, ..., 2 * size :], out=candidate[t]).tanh_()
            hidden = torch.lerp(candidate[t], kept[t], update, out=states[t])
        ctx.save_for_backward(keep, weight, kept, candidate, of_hidden[..., 2 * size :], both)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, Tensor, Tensor]:
        keep, weight, kept, candidate, candidate_h, both = ctx.saved_tensors
        (of_states,) = gradients  # [T, G, M, H]
        reset, update = both.split(kept.shape[-1], dim=-1)
        to_candidate = (1 - update) * (1 - candidate**2)  # of the state by the candidate's argument
        to_reset = to_candidate * candidate_h * reset * (1 - reset)
        to_update = (kept - candidate) * update * (1 - update)
        factors = torch.stack([to_reset, to_update, to_candidate * reset], dim=-2)  # [T, G, M, 3, H], by of_hidden
        total, of_hidden = torch.empty_like(of_states), torch.empty_like(factors)
        carried = torch.zeros_like(of_states[0])  # [G, M, H], of the loss by the state before the step
        for t in reversed(range(len(of_states))):
            torch.add(carried, of_states[t], out=total[t])
            torch.mul(total[t].unsqueeze(-2), factors[t], out=of_hidden[t])
            carried = torch.baddbmm(total[t] * update[t], of_hidden[t].flatten(-2), weight).mul_(keep[t])
        of_hidden = of_hidden.flatten(-2)  # [T, G, M, 3H]
        of_gates = torch.cat([of_hidden[..., : 2 * kept.shape[-1]], total * to_candidate], dim=-1)
        by_group = of_hidden.transpose(0, 1).flatten(1, 2)  # [G, T * M, 3H]
        of_weight = torch.bmm(kept.transpose(0, 1).flatten(1, 2).mT, by_group).mT  # [G, 3H, H]
        return of_gates, carried, None, of_weight, by_group.sum(1)

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
        of_hidden, both = bias.unsqueeze(1).expand_as(gates).clone(), torch.empty_like(gates[..., : 2 * size])
        both_of_input, candidate_of_input = gates.split([2 * size, size], dim=-1)
        both_of_hidden, candidate_of_hidden = of_hidden.split([2 * size, size], dim=-1)
        reset, update = both.split(size, dim=-1)
        of_gates = steps(both_of_input, both_of_hidden, both, reset, update)
        of_candidate = steps(candidate_of_input, candidate_of_hidden, candidate)
        of_state = steps(keep, kept, of_hidden, states)
        for (keeps, before, product, state), (gx, gh, g, r, u), (x, h, c) in zip(
            of_state, of_gates, of_candidate, strict=True
        ):
            torch.mul(hidden, keeps, out=before)
            product.baddbmm_(before, weight.mT)
            torch.add(gx, gh, out=g).sigmoid_()
            torch.addcmul(x, r, h, out=c).tanh_()
            hidden = torch.lerp(c, before, u, out=state)
        ctx.save_for_backward(keep, weight, kept, candidate, candidate_of_hidden, both)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, Tensor, Tensor]:
        keep, weight, kept, candidate, candidate_of_hidden, both = ctx.saved_tensors
        (of_states,) = gradients  # [T, G, M, H]
        reset, update = both.split(kept.shape[-1], dim=-1)
        to_candidate = (1 - update) * (1 - candidate**2)  # of the state by the candidate's argument
        to_reset = to_candidate * candidate_of_hidden * reset * (1 - reset)
        to_update = (kept - candidate) * update * (1 - update)
        factors = torch.stack([to_reset, to_update, to_candidate * reset], dim=-2)  # [T, G, M, 3, H], by of_hidden
        total, of_hidden = torch.empty_like(of_states).unsqueeze(-2), torch.empty_like(factors)
        flat, update = of_hidden.flatten(-2), update.unsqueeze(-2)  # [T, G, M, 3H], a view; [T, G, M, 1, H]
        carried = torch.zeros_like(total[0])  # [G, M, 1, H], of the loss by the state before the step
        views = (total, of_states.unsqueeze(-2), factors, of_hidden, flat, update, keep.unsqueeze(-1))
        for both_ways, state, factor, product, flat_product, u, keeps in reversed(steps(*views)):
            torch.add(carried, state, out=both_ways)
            torch.mul(both_ways, factor, out=product)
            carried = both_ways * u
            carried.squeeze(-2).baddbmm_(flat_product, weight)
            carried.mul_(keeps)
        of_gates = torch.cat([flat[..., : 2 * kept.shape[-1]], total.squeeze(-2) * to_candidate], dim=-1)
        by_group = flat.transpose(0, 1).flatten(1, 2)  # [G, T * M, 3H]
        of_weight = torch.bmm(kept.transpose(0, 1).flatten(1, 2).mT, by_group).mT  # [G, 3H, H]
        return of_gates, carried.squeeze(-2), None, of_weight, by_group.sum(1)


def steps(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Views of each step of tensors [T, ...], made at once."""
    return list(zip(*(tensor.unbind(0) for tensor in tensors), strict=True))

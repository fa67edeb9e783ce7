"""Advantages and returns of recorded segments."""

import torch
from torch import Tensor


def generalised_advantages(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    done: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """A_t = delta_t + gamma lambda (1 - done_t) A_{t+1},  delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t).

    Schulman et al. 2016, equation 16. An episode that is cut off without having ended (done but not terminated)
    bootstraps from the value of its last state and passes nothing back from the next episode.

    reward, terminated, done: [B, T, 1]. value: [B, T, V], V = 1 or one value an agent. next_value: likewise, of the
    state that followed the action (at a truncation the last one of that episode). Returns A [B, T, V].
    """
    delta = reward + gamma * (1 - terminated) * next_value - value  # [B, T, V]
    carry = gamma * gae_lambda * (1 - done)  # [B, T, 1]
    return discounted_sums(delta, carry)


def lambda_returns(
    reward: Tensor, next_value: Tensor, terminated: Tensor, is_last: Tensor, gamma: float, td_lambda: float
) -> Tensor:
    """G_t = r_t + gamma (1 - terminated_t) ((1 - lambda) v_{t+1} + lambda G_{t+1}), and v_{t+1} for G_{t+1} at the end.

    Sutton and Barto 2018, equation 12.18, with the values of greedy actions: Peng's Q(lambda). lambda = 0 is the
    one-step target. The last step of an episode bootstraps from v_{t+1} alone, unless it terminated there.

    reward, terminated: [B, T, 1] or [B, T, V]; next_value [B, T, V]: of the state that followed the action; is_last
    [B, T, 1]: 1 in the last step of each episode. Returns G [B, T, V].
    """
    continues = gamma * (1 - terminated)  # [B, T, .]
    mixed = td_lambda * (1 - is_last)  # [B, T, 1]: the share of G_{t+1}
    return discounted_sums(reward + continues * (1 - mixed) * next_value, continues * mixed)


def discounted_sums(terms: Tensor, carry: Tensor) -> Tensor:
    """S_t = x_t + c_t S_{t+1}, and S_t = x_t in the last step; x [B, T, V] `terms`, c [B, T, 1 or V] `carry`.

    One step after another on a CPU; elsewhere every step is an operation to be launched, and log2 T of them are few.
    """
    return sums_by_steps(terms, carry) if terms.device.type == "cpu" else sums_by_doubling(terms, carry)


def sums_by_steps(terms: Tensor, carry: Tensor) -> Tensor:
    """`discounted_sums`, from the last step to the first."""
    sums = list(terms.unbind(1))  # T of [B, V], to be completed
    for t, carried in reversed(list(enumerate(carry.unbind(1)[:-1]))):
        sums[t] = torch.addcmul(sums[t], carried, sums[t + 1])
    return torch.stack(sums, dim=1)


def sums_by_doubling(terms: Tensor, carry: Tensor) -> Tensor:
    """`discounted_sums`, of the next 1, 2, 4, ... steps in all places at once (Hillis and Steele 1986)."""
    n_steps, reach = terms.shape[1], 1
    sums, carry = terms.clone(), carry.clone()  # [B, T, V], and the product of the carries of these steps
    while reach < n_steps:
        sums[:, :-reach] = sums[:, :-reach] + carry[:, :-reach] * sums[:, reach:]
        left = max(n_steps - 2 * reach, 0)  # steps that reach further than these
        carry[:, :left] = carry[:, :left] * carry[:, reach : reach + left]
        reach *= 2
    return sums

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
    advantages = list(delta.unbind(1))  # T of [B, V], completed from the last to the first
    for t, carried in reversed(list(enumerate(carry.unbind(1)[:-1]))):
        advantages[t] = torch.addcmul(advantages[t], carried, advantages[t + 1])
    return torch.stack(advantages, dim=1)


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
    returns = list((reward + continues * (1 - mixed) * next_value).unbind(1))  # T of [B, V], to be completed
    for t, carried in reversed(list(enumerate((continues * mixed).unbind(1)[:-1]))):
        returns[t] = torch.addcmul(returns[t], carried, returns[t + 1])
    return torch.stack(returns, dim=1)

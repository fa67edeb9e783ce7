"""The log barrier: it keeps every action of every agent possible, so that ascent loses none before it was tried."""

import numpy as np

from bn_mappo.tabular.game import Array
from bn_mappo.tabular.policy import Tables


def log_barrier(policies: Tables) -> Array:
    """sum_i mean over (s, a^P) and a^i of log pi^i(a^i | s, a^P), [B]: 0 at most, minus infinity where one is 0.

    Up to a constant the negative relative entropy to the uniform policy (Agarwal et al. 2021, section 5.2), with a
    context (s, a^P) in the place of a state.
    """
    values = [np.log(policy).mean(axis=(*range(policy.ndim - 2), -1)) for policy in policies]  # [B] each
    return np.sum(values, axis=0)


def log_barrier_gradient(policies: Tables) -> Tables:
    """Its derivative by theta^i[s, a^P, a^i]: (1 / A_i - pi^i(a^i | s, a^P)) / C_i with C_i contexts; [*d, B, S]."""
    gradients = []
    for agent, policy in enumerate(policies):
        n_actions = policy.shape[agent]
        n_contexts = policy[..., 0, :].size / n_actions
        gradients.append((1 / n_actions - policy) / n_contexts)  # [*d, B, S]
    return gradients

"""Compiled loops over pairs of agents, for `PairNet`: what is computed of a pair never leaves the processor's cache.

M samples, N agents, P hidden units of a pair, W features that an agent sees of another; all floats are of 32 bits.
"""

from functools import partial

import numpy as np

from bn_mappo.core.compiling import compiled

loop = partial(compiled, fastmath={"reassoc", "contract"})


@partial(loop, forceinline=True)
def fill_hidden(obs, start, which, child, parent, sight, m, i, j, hidden):
    """hidden [P] of child i and parent j in sample m, before the ReLU; the others are arguments of `pair_logits`."""
    c, d = which[m, i], which[m, j]
    for p in range(len(hidden)):
        hidden[p] = child[c, p] + parent[d, p]
    first = start + (j - (j > i)) * len(sight)  # of what i sees of j
    for w in range(len(sight) if i != j else 0):
        x = obs[m, i, first + w]
        if x != 0.0:  # an agent that is not seen has zeros alone
            for p in range(len(hidden)):
                hidden[p] += x * sight[w, p]


@loop
def pair_logits(obs, start, which, child, parent, sight, head, hidden, logits):
    """logits [M, parent, child] = head . ReLU(child + parent + sight of the parent).

    obs [M, N, D], of which the others' features begin at `start`; child and parent [V, P], of which `which` [M, N] is
    the row of each agent; sight [W, P]; head [P]; `hidden` [P] is room to work in: loops that make no array are spared
    numba's count of who uses it.
    """
    for m in range(len(obs)):
        for i in range(obs.shape[1]):
            for j in range(obs.shape[1]):
                fill_hidden(obs, start, which, child, parent, sight, m, i, j, hidden)
                logit = np.float32(0.0)
                for p in range(len(head)):
                    logit += head[p] * max(hidden[p], np.float32(0.0))
                logits[m, j, i] = logit


@loop
def pair_gradients(
    obs, start, which, child, parent, sight, head, hidden, of_logits, of_child, of_parent, of_sight, of_head
):
    """Adds the gradients of `pair_logits` to the last four arrays, from that of the logits."""
    for m in range(len(obs)):
        for i in range(obs.shape[1]):
            for j in range(obs.shape[1]):
                grad = of_logits[m, j, i]
                if grad == 0.0:  # as of all pairs that the order forbids
                    continue
                fill_hidden(obs, start, which, child, parent, sight, m, i, j, hidden)
                c, d = which[m, i], which[m, j]
                for p in range(len(head)):
                    of_head[p] += grad * max(hidden[p], np.float32(0.0))
                    hidden[p] = grad * head[p] if hidden[p] > 0.0 else np.float32(0.0)  # now its gradient
                    of_child[c, p] += hidden[p]
                    of_parent[d, p] += hidden[p]
                first = start + (j - (j > i)) * len(sight)
                for w in range(len(sight) if i != j else 0):
                    x = obs[m, i, first + w]
                    if x != 0.0:
                        for p in range(len(head)):
                            of_sight[w, p] += x * hidden[p]

"""Compiled loops over the things that agents see: sums over them, and their gradients.

What an agent does not see is all zeros in its observation, and most entries are: here every such thing is one. Codes
stand in a table [V + 1, E], a row for each thing seen and, last, one for what is not seen; `index` [R, K] says which
row is that of thing k in sample r. All floats are of 32 bits.
"""

from functools import partial

import numpy as np

from bn_mappo.core.compiling import compiled

loop = partial(compiled, fastmath={"reassoc", "contract"})  # sums in any order: as many at once as fit a register


@loop
def number_things(obs, start, size, width):
    """Index [R, size] and features [V + 1, width] of the things in obs [R, D], of which the first begins at `start`."""
    index = np.empty((len(obs), size), np.int32)
    features = np.empty((len(obs) * size + 1, width), np.float32)
    n_seen = 0
    for r in range(len(obs)):
        for k in range(size):
            first = start + k * width
            total = np.float32(0.0)
            for w in range(width):
                x = obs[r, first + w]
                features[n_seen, w] = x
                total += abs(x)
            index[r, k] = n_seen if total != 0.0 else -1
            n_seen += total != 0.0
    features[n_seen] = 0.0
    for r in range(len(obs)):
        for k in range(size):
            if index[r, k] < 0:
                index[r, k] = n_seen
    return index, features[: n_seen + 1]


@loop
def add_weighted(index, weights, table, sums):
    """sums[r] += sum_k weights[r, k] table[index[r, k]]."""
    unseen = len(table) - 1
    for r in range(len(index)):
        of_unseen = np.float32(0.0)
        for k in range(index.shape[1]):
            row, weight = index[r, k], weights[r, k]
            if row == unseen:
                of_unseen += weight
            elif weight != 0.0:
                for e in range(table.shape[1]):
                    sums[r, e] += weight * table[row, e]
        if of_unseen != 0.0:
            for e in range(table.shape[1]):
                sums[r, e] += of_unseen * table[unseen, e]


@loop
def dot_codes(index, table, vectors, products):
    """products[r, k] = table[index[r, k]] . vectors[r]."""
    unseen = len(table) - 1
    for r in range(len(index)):
        of_unseen = np.float32(0.0)
        for e in range(table.shape[1]):
            of_unseen += table[unseen, e] * vectors[r, e]
        for k in range(index.shape[1]):
            product = of_unseen
            if index[r, k] != unseen:
                product = np.float32(0.0)
                for e in range(table.shape[1]):
                    product += table[index[r, k], e] * vectors[r, e]
            products[r, k] = product


@loop
def spread_weighted(index, weights, vectors, of_table):
    """of_table[index[r, k]] += weights[r, k] vectors[r]: a gradient of `add_weighted` and of `dot_codes`."""
    unseen = len(of_table) - 1
    for r in range(len(index)):
        of_unseen = np.float32(0.0)
        for k in range(index.shape[1]):
            row, weight = index[r, k], weights[r, k]
            if row == unseen:
                of_unseen += weight
            elif weight != 0.0:
                for e in range(of_table.shape[1]):
                    of_table[row, e] += weight * vectors[r, e]
        if of_unseen != 0.0:
            for e in range(of_table.shape[1]):
                of_table[unseen, e] += of_unseen * vectors[r, e]

"""What an agent has to know of a DAG: pure functions of the adjacency, in NumPy."""

import numpy as np

from bn_mappo.core.specs import Array


def depths(adjacency: Array) -> Array:
    """Edges on the longest path that ends in each agent, [N]: adjacency [N, N], row parent, column child.

    A cycle, which disagreeing agents can come to, ends the count at N.
    """
    n_agents = len(adjacency)
    edges, found = adjacency > 0, np.zeros(n_agents, dtype=np.int64)
    for _ in range(n_agents):
        longer = ((found + 1)[:, None] * edges).max(0)  # [N]: one more than the deepest parent
        if np.array_equal(longer, found):
            break
        found = longer
    return found

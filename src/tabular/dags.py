"""Fixed DAGs over the agents: adjacency[j, i] == 1 iff j is a parent of i."""

import numpy as np
import numpy.typing as npt

from bn_mappo.core.errors import ConfigError, unknown

Adjacency = npt.NDArray[np.int64]

DAG_NAMES = ("uncorrelated", "line", "full", "line_released")


def named_dag(name: str, n_agents: int) -> Adjacency:
    """The fixed DAG of that name, [N, N], in the order 1..N (paper section 7.2).

    `line_released` is the line without its last edge, as the released code builds it: kept only for comparison.
    """
    if name == "uncorrelated":
        return np.zeros((n_agents, n_agents), dtype=np.int64)  # [N, N]
    if name == "full":
        return np.triu(np.ones((n_agents, n_agents), dtype=np.int64), k=1)  # [N, N]
    if name not in DAG_NAMES:
        raise unknown("DAG", name, DAG_NAMES)
    line = np.eye(n_agents, k=1, dtype=np.int64)  # [N, N]
    if name == "line_released" and n_agents > 1:
        line[-2, -1] = 0
    return line


def check_adjacency(adjacency: npt.ArrayLike, n_agents: int) -> Adjacency:
    """The adjacency as integers [N, N]; ConfigError unless it is a DAG over these agents."""
    matrix = np.asarray(adjacency)
    if matrix.shape != (n_agents, n_agents):
        raise ConfigError(f"adjacency has shape {list(matrix.shape)}; it must be [{n_agents}, {n_agents}]")
    if not np.isin(matrix, (0, 1)).all():
        raise ConfigError("adjacency must hold only 0 and 1")
    edges = matrix.astype(np.int64)  # [N, N]
    if np.linalg.matrix_power(edges, n_agents).any():  # a walk of N edges over N agents returns to one of them
        raise ConfigError(f"adjacency has a cycle: {edges.tolist()}")
    return edges


def parents(adjacency: Adjacency, agent: int) -> tuple[int, ...]:
    """P^i, the parents of the agent, in ascending order."""
    return tuple(int(j) for j in np.flatnonzero(adjacency[:, agent]))


def family(adjacency: Adjacency, agent: int) -> tuple[int, ...]:
    """P^i+, the agent and its parents, in ascending order."""
    return tuple(sorted((*parents(adjacency, agent), agent)))

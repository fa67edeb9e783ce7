"""Gymnasium's spaces of several agents as our arrays: flat observations padded to the longest, actions as numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array

if TYPE_CHECKING:
    from gymnasium.spaces import Space


class Observations:
    """The observations of N agents, [N, D]: each flattened, and padded with zeros to the length of the longest, D.

    A space may be a Box of any shape, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of them; what is
    discrete becomes one-hot, as gymnasium.spaces.flatten does it.
    """

    def __init__(self, spaces: Sequence["Space[Any]"], names: Sequence[str], purpose: str):
        from gymnasium.spaces import Box
        from gymnasium.spaces.utils import flatdim, flatten

        self.spaces, self.flatten = list(spaces), flatten
        try:
            lengths = [int(flatdim(space)) for space in spaces]
        except (NotImplementedError, ValueError) as error:
            raise ConfigError(f"{purpose}: observations of no fixed length cannot be used: {error}") from error
        if not all(lengths):
            raise ConfigError(f"{purpose}: the agent '{names[lengths.index(0)]}' observes nothing")
        self.array = np.zeros((len(lengths), max(lengths)), dtype=np.float32)  # [N, D]
        self.rows = [self.array[i, :length] for i, length in enumerate(lengths)]  # views, without the padding
        self.is_flat = [isinstance(space, Box) and len(space.shape) == 1 for space in spaces]

    def write(self, agent: int, observation: Any) -> None:
        """Keep what an agent observes."""
        flat: Any = observation if self.is_flat[agent] else self.flatten(self.spaces[agent], observation)
        self.rows[agent][:] = flat

    def clear(self, agent: int) -> None:
        """An agent that has left observes nothing."""
        self.rows[agent][:] = 0.0


class Actions:
    """The actions of N agents as numbers from 0 on. Agents with fewer than A actions have the rest masked.

    A space may be Discrete, or MultiDiscrete, of which each combination is an action.
    """

    def __init__(self, spaces: Sequence["Space[Any]"], names: Sequence[str], purpose: str):
        from gymnasium.spaces import Discrete, MultiDiscrete

        self.tables: list[list[Any]] = []  # by agent and action: what the environment takes for it
        for name, space in zip(names, spaces, strict=True):
            if isinstance(space, Discrete):
                self.tables.append([int(space.start) + action for action in range(int(space.n))])
            elif isinstance(space, MultiDiscrete):
                numbers = np.indices(tuple(space.nvec.ravel())).reshape(space.nvec.size, -1).T
                self.tables.append(list(numbers.reshape(-1, *space.shape).astype(space.dtype) + space.start))
            else:
                raise ConfigError(
                    f"{purpose}: the actions of '{name}' are {space}, and only discrete ones can be learned here. "
                    "Look for an argument of the environment that makes them discrete, such as "
                    "env_args.continuous_actions=False"
                )
        counts = np.array([len(table) for table in self.tables])
        self.n_actions = int(counts.max())  # A
        self.exist: Array = np.arange(self.n_actions) < counts[:, None]  # [N, A] bool

"""What pictures and scripted policies read of B battles; Skirmish has it all."""

from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.games.skirmish.data import Map

if TYPE_CHECKING:
    from bn_mappo.envs.games.skirmish.tables import Tables  # importing it takes half a second, for numba


class Battles(Protocol):
    """B battles as they stand; U units, allies (the N agents) first. core.py names the rows of `units` and `marks`."""

    core: ModuleType
    info: EnvInfo
    map: Map
    tables: "Tables"
    rng: np.random.Generator
    n_loops: int  # of a step
    units: Array  # [B, fields, U]
    marks: Array  # [B, marks, U]
    clock: Array  # [B]
    outcome: Array  # [B] of the last step
    ended: tuple[Array, Array, Array] | None  # units, marks, clock before restarts, where they are kept

    def cast(self, b: int) -> tuple[Map, Array]:
        """The map with the units of game b, and their traits [traits, U]."""

    def avail_actions(self) -> Array:
        """[B, N, A] bool, of the present state."""

"""The tables of B games with random teams: gathered, for each episode, from those of one unit of each type."""

from typing import Any

import numpy as np

from bn_mappo.core.compiling import compiled
from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish import core
from bn_mappo.envs.games.skirmish.tables import make_tables
from bn_mappo.envs.games.skirmish.teams import RandomTeams, uniform_numbers

AHEAD = 32  # episodes of a game that are drawn at once, because one alone costs nearly as much


@compiled
def gather(
    games: Array, columns: Array, kind: Array, trait: Array, pair: Array, kinds: Array, traits: Array, pairs: Array
) -> None:
    """Write the tables of the games [G], whose units are these columns [G, U] of the tables for all types."""
    n_units = columns.shape[1]
    for k in range(len(games)):
        game = games[k]
        for u in range(n_units):
            column = columns[k, u]
            kinds[game, u] = kind[column]
            for row in range(trait.shape[0]):
                traits[game, row, u] = trait[row, column]
            for row in range(pair.shape[0]):
                for v in range(n_units):
                    pairs[game, row, u, v] = pair[row, column, columns[k, v]]


class Dealer:
    """Owns what the compiled core reads of the units of each game, and who comes next; U units, the agents first.

    The teams of a game depend on its seed and on the number of its episode alone.
    """

    def __init__(self, teams: RandomTeams, batch_size: int, move_amount: float, seeds: Array):
        self.teams, self.n_agents = teams, teams.sizes[0]
        self.catalogue = make_tables(teams.catalogue, move_amount)
        n_units = sum(teams.sizes)
        self.types = np.zeros((batch_size, n_units), dtype=np.int64)  # [B, U], as teams.Draw has them
        self.kinds = np.zeros((batch_size, n_units), dtype=np.int64)  # [B, U]
        self.traits = np.zeros((batch_size, len(core.TRAITS), n_units))  # [B, traits, U]
        self.pairs = np.zeros((batch_size, len(core.PAIRS), n_units, n_units))  # [B, pairs, U, U]
        self.goals = np.zeros((batch_size, 2, 3))  # [B, sides, x, y, 1]: scripted units go to the other side's start
        self.vigour = np.zeros(batch_size)  # [B] health and shield of all enemies at the start
        self.seeds, self.episodes = seeds, np.zeros(batch_size, dtype=np.int64)  # [B]; the next episode's number
        self.block = np.full(batch_size, -1, dtype=np.int64)  # [B]: which AHEAD episodes are drawn
        self.next_types = np.zeros((batch_size, AHEAD, n_units), dtype=np.int64)
        self.next_places = np.zeros((batch_size, AHEAD, n_units, 2))  # cells
        self._fill(np.arange(batch_size), self.types)

    def restart(self, seeds: Array) -> None:
        """Go on with the first episode of these seeds [B] (uint64)."""
        self.seeds, self.episodes[:], self.block[:] = seeds, 0, -1

    def deal(self, games: Array) -> None:
        """New teams for the games [G]."""
        number = self.episodes[games]
        self.episodes[games] += 1
        stale = games[self.block[games] != number // AHEAD]
        if len(stale):
            self._draw_ahead(stale, (self.episodes[stale] - 1) // AHEAD)
        at = number % AHEAD
        places = self.next_places[games, at]  # [G, U, 2]
        self._fill(games, self.next_types[games, at])
        self.traits[games, core.SPAWN_X] = places[..., 0]
        self.traits[games, core.SPAWN_Y] = places[..., 1]
        self.traits[games, core.SPAWN_RADIUS] = 0.0
        self.goals[games, 0, :2] = places[:, self.n_agents :].mean(1)
        self.goals[games, 1, :2] = places[:, : self.n_agents].mean(1)
        self.goals[games, :, 2] = 1.0

    def _draw_ahead(self, games: Array, block: Array) -> None:
        """Draw the blocks [G] of AHEAD episodes of the games [G]."""
        count = AHEAD * self.teams.n_numbers
        numbers = uniform_numbers(self.seeds[games], block * count, count)  # [G, AHEAD * n]
        draw = self.teams.draw(numbers.reshape(-1, self.teams.n_numbers))
        shape = (len(games), AHEAD, -1)
        self.next_types[games] = draw.types.reshape(shape)
        self.next_places[games] = draw.places.reshape(*shape, 2)
        self.block[games] = block

    def _fill(self, games: Array, types: Array) -> None:
        """The games [G] have units of these types [G, U]."""
        t = self.catalogue
        columns = self.teams.columns(types)  # [G, U]
        self.types[games] = types
        gather(games, columns, t.kind, t.trait, t.pair, self.kinds, self.traits, self.pairs)
        enemies = t.trait[core.MAX_HEALTH] + t.trait[core.MAX_SHIELD]  # of each type
        self.vigour[games] = enemies[columns[:, self.n_agents :]].sum(1)

    def state_dict(self) -> dict[str, Any]:
        """Who fights, and who comes next."""
        return {"types": self.types.copy(), "seeds": self.seeds.copy(), "episodes": self.episodes.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.restart(state["seeds"].copy())
        self.episodes[:] = state["episodes"]
        self._fill(np.arange(len(self.types)), state["types"])

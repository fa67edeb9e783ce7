"""Random teams: types and starting points of all units, drawn for each episode by the weights and patterns of YAML."""

import functools
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish.data import (
    FOLDER,
    SIZE,
    Group,
    Map,
    MapData,
    Positive,
    Race,
    Section,
    build_map,
    load_rules,
    read_section,
)

MIDDLE = [SIZE / 2, SIZE / 2]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64, as in core.py
Box = Annotated[list[float], Field(min_length=4, max_length=4)]  # left, bottom, right, top in cells


class Pattern(Section):
    """Where the units of an episode start."""

    name: str
    chance: Positive
    agents: Annotated[list[Box], Field(min_length=1)]
    enemies: Annotated[list[Box], Field(min_length=1)]
    is_reflected: bool = (
        False  # enemy k starts where agent k does, east and west exchanged; those beyond in their boxes
    )

    @model_validator(mode="after")
    def _on_the_map(self) -> Self:
        for left, bottom, right, top in (*self.agents, *self.enemies):
            if not (0 < left <= right < SIZE and 0 < bottom <= top < SIZE):
                raise ValueError(f"{self.name}: [{left}, {bottom}, {right}, {top}] is no box on the map")
        return self


class TeamData(Section):
    """teams.yaml."""

    weights: dict[Race, Annotated[dict[str, Positive], Field(min_length=1)]]
    floor: str
    episode_limit: Annotated[int, Field(ge=1)]
    patterns: Annotated[list[Pattern], Field(min_length=1)]

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        units = load_rules().units
        chances = {"patterns": [pattern.chance for pattern in self.patterns]}
        for race, weights in self.weights.items():
            chances[f"weights of {race}"] = list(weights.values())
            strange = [name for name in weights if name not in units or units[name].race != race]
            if strange:
                raise ValueError(f"units.yaml has no {race} unit called {', '.join(strange)}")
            if all(units[name].heal for name in weights):
                raise ValueError(f"{race} needs a unit that fights")
        for what, values in chances.items():
            if abs(sum(values) - 1) > 1e-9:
                raise ValueError(f"the {what} add up to {sum(values):g}, and not to 1")
        return self


class Draw(NamedTuple):
    """The units of G games; U units, the agents first, each side by rising type."""

    types: Array  # [G, U] int64: number of the type in the weights of the side's race
    places: Array  # [G, U, 2] cells


class RandomTeams:
    """Draws teams for a map's numbers and races. Knows no game; the numbers that it draws from are arguments."""

    def __init__(self, game_map: Map, data: TeamData):
        self.data, self.sizes = data, (len(game_map.allies), len(game_map.enemies))
        self.names = [sorted(data.weights[race]) for race in game_map.races]  # by side: types, as Draw counts them
        rules = load_rules()
        self.heals = [np.array([rules.units[name].heal is not None for name in names]) for names in self.names]
        self.chances = [
            np.array([data.weights[race][name] for name in names])
            for race, names in zip(game_map.races, self.names, strict=True)
        ]
        self.are_alike = game_map.races[0] == game_map.races[1]
        n_agents, n_enemies = self.sizes
        if self.heals[0].any() and n_agents > n_enemies:
            raise ConfigError(
                f"env_args.map_name={game_map.name}: random {game_map.races[0]} teams have healers, whose actions are "
                "their allies, of which there may be no more than enemies"
            )
        everybody = [[Group(unit=name, count=1, at=MIDDLE) for name in names] for names in self.names]
        self.catalogue = self._map(game_map.name, *everybody)  # one unit of each type on each side
        fighters = [names[int(heals.argmin())] for names, heals in zip(self.names, self.heals, strict=True)]
        sides = [[Group(unit=name, count=size, at=MIDDLE)] for name, size in zip(fighters, self.sizes, strict=True)]
        self.map = self._map(game_map.name, *sides)._replace(unit_types=self.catalogue.unit_types)  # for its sizes

    def _map(self, name: str, allies: list[Group], enemies: list[Group]) -> Map:
        data = MapData(
            allies=allies,
            enemies=enemies,
            enemy_target=MIDDLE,  # of each game, it is where the agents start
            floor=self.data.floor,
            episode_limit=self.data.episode_limit,
        )
        return build_map(name, data)

    @property
    def n_numbers(self) -> int:
        """Numbers in [0, 1) that the draw of one game takes."""
        return 1 + 4 * sum(self.sizes)

    def draw(self, numbers: Array) -> Draw:
        """Teams of G games from uniform `numbers` [G, n_numbers].

        Each side has at least one unit that fights. Where both are of one race, enemy k is of agent k's type, and only
        enemies beyond the number of agents are drawn.
        """
        n_agents, n_enemies = self.sizes
        chances = np.cumsum([pattern.chance for pattern in self.data.patterns])
        pattern = np.searchsorted(chances[:-1], numbers[:, 0], side="right")  # [G]
        ally_numbers, enemy_numbers = np.split(numbers[:, 1:].reshape(len(numbers), -1, 4), [n_agents], axis=1)
        ally_types, enemy_types = (
            self._types(side, drawn[..., 0]) for side, drawn in enumerate((ally_numbers, enemy_numbers))
        )
        both = min(n_agents, n_enemies)
        if self.are_alike:
            enemy_types[:, :both] = ally_types[:, :both]
        ally_places, enemy_places = (
            _places([getattr(p, side) for p in self.data.patterns], pattern, drawn[..., 1:])
            for side, drawn in (("agents", ally_numbers), ("enemies", enemy_numbers))
        )
        is_reflected = np.array([p.is_reflected for p in self.data.patterns])[pattern]  # [G]
        mirrored = ally_places[:, :both] * [-1.0, 1.0] + [SIZE, 0.0]
        enemy_places[:, :both] = np.where(is_reflected[:, None, None], mirrored, enemy_places[:, :both])
        sides = [_by_type(ally_types, ally_places), _by_type(enemy_types, enemy_places)]
        return Draw(*(np.concatenate(parts, axis=1) for parts in zip(*sides, strict=True)))

    def _types(self, side: int, numbers: Array) -> Array:
        """[G, units] from numbers [G, units]; the first unit fights, the others are drawn by the weights."""
        bounds = np.cumsum(self.chances[side])[:-1]
        types = np.searchsorted(bounds, numbers, side="right")
        fighting = np.where(self.heals[side], 0.0, self.chances[side])
        bounds = np.cumsum(fighting / fighting.sum())[:-1]
        types[:, 0] = np.searchsorted(bounds, numbers[:, 0], side="right")
        return types

    def columns(self, types: Array) -> Array:
        """Numbers of units of the catalogue [..., U] for types [..., U]."""
        return types + np.where(np.arange(sum(self.sizes)) < self.sizes[0], 0, len(self.names[0]))

    def cast(self, types: Array) -> Map:
        """The map with the units of one game, [U] types."""
        units = [*self.catalogue.allies, *self.catalogue.enemies]
        team = [units[column] for column in self.columns(types)]
        return self.map._replace(allies=team[: self.sizes[0]], enemies=team[self.sizes[0] :])


def _places(boxes: list[list[Box]], pattern: Array, numbers: Array) -> Array:
    """Points [G, units, 2] in the boxes of each game's pattern [G], from numbers [G, units, 3]: box, x and y."""
    counts = np.array([len(of_pattern) for of_pattern in boxes])
    table = np.zeros((len(boxes), counts.max(), 4))
    for number, of_pattern in enumerate(boxes):
        table[number, : len(of_pattern)] = of_pattern
    box = table[pattern[:, None], (numbers[..., 0] * counts[pattern][:, None]).astype(np.int64)]  # [G, units, 4]
    return box[..., :2] + numbers[..., 1:] * (box[..., 2:] - box[..., :2])


def _by_type(types: Array, places: Array) -> tuple[Array, Array]:
    """A side by rising type, as the slots are."""
    order = np.argsort(types, axis=1, kind="stable")
    return np.take_along_axis(types, order, 1), np.take_along_axis(places, order[..., None], 1)


def uniform_numbers(seeds: Array, skipped: Array, count: int) -> Array:
    """[G, count] numbers in [0, 1): those of core.uniform with streams that start at seeds [G] (uint64).

    Of each stream, `skipped` [G] numbers before are left out.
    """
    steps = skipped[:, None].astype(np.uint64) + np.arange(1, count + 1, dtype=np.uint64)  # [G, count]
    state: Array = seeds[:, None] + GOLDEN * steps
    word: Array = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word = word ^ (word >> np.uint64(31))
    return np.asarray((word >> np.uint64(11)) * (1.0 / 2**53))


@functools.cache
def load_teams() -> TeamData:
    """teams.yaml."""
    return read_section(FOLDER / "teams.yaml", TeamData)

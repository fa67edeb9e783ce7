"""Units, floors and maps as they stand in YAML, checked; a new map is a new file in maps/."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bn_mappo.config.explain import explain
from bn_mappo.config.reading import load_yaml
from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.core.specs import Array

FOLDER = Path(__file__).parent
SIZE = 32  # cells; every map is a square of this side
LARGEST_RADIUS = 1.0  # cells; the walls of a cell are looked for in its neighbours alone

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
Segment = Annotated[list[Point], Field(min_length=2, max_length=2)]  # from one point to another
Radius = Annotated[float, Field(gt=0, le=LARGEST_RADIUS)]
Race = Literal["terran", "protoss", "zerg"]
Attribute = Literal["light", "armoured", "biological"]
Layer = Literal["ground", "flying", "colossus"]


class Section(BaseModel):
    """A part of a data file: no unknown keys, no change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(Section):
    """Cells; across the shot, with its middle in the target: ground units of the target's side on it are hit, too."""

    length: Positive
    width: NonNegative


class Weapon(Section):
    """Range in cells from edge to edge, times in s, damage of each hit; `bonus` by attribute.

    A shot leaves `damage_point` after its beginning, and its hits land at the times `hits` after that. With a missile
    (cells per s) they land when it has flown as well.
    """

    damage: Positive
    bonus: dict[Attribute, Positive] = {}
    period: Positive
    damage_point: NonNegative
    hits: Annotated[list[NonNegative], Field(min_length=1)] = [0.0]
    missile_speed: Positive | None = None
    is_channelled: bool = False  # the unit stands until all hits have landed; its death or another order prevents them
    range: Positive
    range_slop: NonNegative | None = None  # cells; None: that of the rules
    targets: list[Literal["ground", "air"]]
    line: Line | None = None

    @property
    def hits_now(self) -> int:
        """Hits that land as the shot leaves."""
        return 0 if self.missile_speed else sum(time == 0 for time in self.hits)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        later = self.hits if self.missile_speed else [time for time in self.hits if time > 0]
        if len(set(later)) > 1:
            raise ValueError("hits that do not land at once land at one time")
        if self.damage_point > self.period:
            raise ValueError("the damage point lies within the period")
        return self


class Energy(Section):
    """`regeneration` per s."""

    start: NonNegative
    maximum: Positive
    regeneration: NonNegative


class Heal(Section):
    """Health per s, health for one energy, range in cells from edge to edge; biological units only."""

    rate: Positive
    health_per_energy: Positive
    range: Positive


class UnitType(Section):
    """One kind of unit; units.yaml says what its numbers mean."""

    race: Race
    health: Positive
    shield: NonNegative = 0.0
    armour: NonNegative = 0.0
    attributes: list[Attribute]
    is_air: bool = False  # it crosses walls, and only weapons against air units hit it
    collides: Annotated[list[Layer], Field(min_length=1)] = ["ground"]  # with units that share one of these layers
    speed: Positive
    acceleration: Positive | None = None
    radius: Radius  # for ranges
    separation_radius: Radius  # for collisions with units and walls
    health_regeneration: NonNegative = 0.0
    max_cooldown: Positive  # game loops; the state divides by it
    energy: Energy | None = None
    weapon: Weapon | None = None
    heal: Heal | None = None
    general_knowledge: list[str] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_marks(self)
        if self.heal is not None and (self.weapon is not None or self.energy is None):
            raise ValueError("a healer has energy and no weapon")
        return self


class Clock(Section):
    """The game's clock."""

    loops_per_second: Positive


class Shield(Section):
    """`delay` in s without harm, then `regeneration` per s."""

    delay: NonNegative
    regeneration: NonNegative


class CallForHelp(Section):
    """Units within `radius` cells go after who hits one of their side, which calls at most once in `period` s."""

    radius: NonNegative
    period: NonNegative


class Rules(Section):
    """units.yaml."""

    clock: Clock
    sight: Positive
    shoot_range: Positive
    shield: Shield
    weapon_jitter: Annotated[list[float], Field(min_length=2, max_length=2)]
    range_slop: NonNegative  # cells
    least_damage: NonNegative
    least_scan_range: NonNegative
    call_for_help: CallForHelp
    follow_distance: NonNegative
    largest_push: Positive
    general_knowledge: list[str] = []
    inferred: list[str] = []  # sentences
    assumed: list[str] = []
    units: dict[str, UnitType]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_marks(self)
        for name, unit in self.units.items():
            if unit.weapon and _longest_shot(unit.weapon, self) >= unit.weapon.period + self.weapon_jitter[0]:
                raise ValueError(f"{name}: a shot must have landed before the next one begins")
        return self


class Group(Section):
    """`count` units that start as a clump around a point; groups at one point are one clump.

    A map lists its groups in the order in which the map of the real game creates them.
    """

    unit: str
    count: Annotated[int, Field(ge=1)]
    at: Point


class MapData(Section):
    """One file of maps/."""

    allies: Annotated[list[Group], Field(min_length=1)]
    enemies: Annotated[list[Group], Field(min_length=1)]
    enemy_target: Point | Segment | None
    floor: str
    episode_limit: Annotated[int, Field(ge=1)]


class Map(NamedTuple):
    """A map with everything that it refers to. Units are listed in the order of their slots: by type, then as given."""

    name: str
    data: MapData
    rules: Rules
    walkable: Array  # [SIZE, SIZE] bool, by x and y
    allies: list[tuple[UnitType, str, Point]]  # one entry a unit: type, its name, where its clump is
    enemies: list[tuple[UnitType, str, Point]]
    created: tuple[list[int], list[int]]  # allies and enemies: the entries above in the order of their creation
    unit_types: list[str]  # in the order of the one-hot code; empty where each side has one type only

    @property
    def races(self) -> tuple[Race, Race]:
        """Of the allies and of the enemies."""
        return self.allies[0][0].race, self.enemies[0][0].race


def _longest_shot(weapon: Weapon, rules: Rules) -> float:
    """Seconds from the beginning of a shot until all of it has landed, at most."""
    slop = rules.range_slop if weapon.range_slop is None else weapon.range_slop
    flight = (weapon.range + slop) / weapon.missile_speed if weapon.missile_speed else 0.0
    return weapon.damage_point + max(weapon.hits) + flight


def _check_marks(section: Rules | UnitType) -> None:
    strange = set(section.general_knowledge) - set(type(section).model_fields)
    if strange:
        raise ValueError(f"general_knowledge names entries that are not there: {', '.join(sorted(strange))}")


Model = TypeVar("Model", bound=BaseModel)


def read_section(path: Path, model: type[Model]) -> Model:
    """The file as this model; ConfigError where it does not fit."""
    values = load_yaml(path)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {', '.join(explain(error, values))}") from None


@functools.cache
def load_rules() -> Rules:
    """Units and constants."""
    return read_section(FOLDER / "units.yaml", Rules)


def map_names() -> list[str]:
    """The maps on offer: the files of maps/."""
    return sorted(path.stem for path in (FOLDER / "maps").glob("*.yaml"))


def floor_cells(name: str) -> Array:
    """[SIZE, SIZE] bool, by x and y: which cells of this floor one can walk on."""
    floors: dict[str, Any] = load_yaml(FOLDER / "floors.yaml")
    if name not in floors:
        raise unknown("floor", name, floors)
    walkable = np.zeros((SIZE, SIZE), dtype=bool)
    for rows, (left, right) in floors[name].items():
        low, _, high = str(rows).partition("-")
        if not (0 <= int(low) <= int(high or low) < SIZE and 0 <= left <= right < SIZE):
            raise ConfigError(
                f"floors.yaml: {name}: '{rows}: [{left}, {right}]' leaves the map of {SIZE} x {SIZE} cells"
            )
        walkable[left : right + 1, int(low) : int(high or low) + 1] = True
    return walkable


def _line_up(groups: list[Group], rules: Rules) -> list[tuple[UnitType, str, Point]]:
    """One entry a unit, ordered by type as StarCraft's numbers of the types are, which here is the alphabet."""
    for group in groups:
        if group.unit not in rules.units:
            raise unknown("unit", group.unit, rules.units)
    ordered = sorted(groups, key=lambda group: group.unit)
    return [(rules.units[group.unit], group.unit, group.at) for group in ordered for _ in range(group.count)]


def _creation_order(groups: list[Group]) -> list[int]:
    """The entries of _line_up in the order in which the groups create them."""
    names = np.repeat([group.unit for group in groups], [group.count for group in groups])
    slots = np.empty(len(names), dtype=np.int64)
    slots[np.argsort(names, kind="stable")] = np.arange(len(names))
    return [int(slot) for slot in slots]


@functools.cache
def load_map(name: str) -> Map:
    """The map of this name; ConfigError with the list of maps where there is none."""
    if name not in map_names():
        raise unknown("env_args.map_name", name, map_names())
    return build_map(name, read_section(FOLDER / "maps" / f"{name}.yaml", MapData))


def build_map(name: str, data: MapData) -> Map:
    """The map with its floor and units; ConfigError where they do not fit together."""
    rules = load_rules()
    walkable = floor_cells(data.floor)
    allies, enemies = _line_up(data.allies, rules), _line_up(data.enemies, rules)
    for unit, unit_name, (x, y) in [*allies, *enemies]:
        if not (0 <= x < SIZE and 0 <= y < SIZE and (unit.is_air or walkable[int(x), int(y)])):
            raise ConfigError(f"maps/{name}.yaml: {unit_name} at [{x}, {y}] stands outside the floor '{data.floor}'")
    for side, units in (("allies", allies), ("enemies", enemies)):
        if len({unit.race for unit, _, _ in units}) > 1:
            raise ConfigError(f"maps/{name}.yaml: the {side} must be of one race")
    if any(unit.heal for unit, _, _ in allies) and len(allies) > len(enemies):
        raise ConfigError(
            f"maps/{name}.yaml: a healer's actions are its allies, of which there may be no more than enemies"
        )
    types = [{unit_name for _, unit_name, _ in units} for units in (allies, enemies)]
    unit_types = sorted(types[0] | types[1]) if max(map(len, types)) > 1 else []
    created = _creation_order(data.allies), _creation_order(data.enemies)
    return Map(name, data, rules, walkable, allies, enemies, created, unit_types)

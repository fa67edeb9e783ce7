"""A moment of a battle as a picture: units as large as they are, health, orders, shots, and who hears whom."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from envs.vec_env import Array

if TYPE_CHECKING:
    from envs.skirmish.game import Skirmish

FLOOR, WALL = "#f4f1ea", "#6d7480"
SIDES = ("#2f6db3", "#c8502d")  # allies, enemies
HEALTH, SHIELD, LOST, HEAL, EDGE = "#3a9d5d", "#57b8d9", "#3b3f46", "#35b36b", "#7b3fa0"
INCHES, DPI = 9.0, 80  # width of a picture, and its resolution
BAR = 0.13  # cells between the lines of health and shield


MARGIN, LEAST_VIEW = 1.8, (16.0, 9.0)  # cells around the living; least width and height of what is shown


class View(NamedTuple):
    """A part of the map, in cells."""

    left: float
    right: float
    bottom: float
    top: float


class Moment(NamedTuple):
    """One battle as it stands; U units, the first N are the agents."""

    title: str
    walkable: Array  # [size, size] bool
    n_agents: int
    position: Array  # [U, 2] cells
    radius: Array  # [U] cells
    is_air: Array  # [U] bool
    health: Array  # [U] share of full health; 0: dead
    shield: Array  # [U] share of the full shield
    has_shield: Array  # [U] bool
    is_healer: Array  # [U] bool
    shot_at: Array  # [U] whom each shot or healed last in the step before, -1: nobody
    target: Array  # [U] whom each is ordered to attack or heal, -1: nobody
    goal: Array  # [U, 2] where it goes, nan: nowhere


def moment(game: "Skirmish", b: int = 0) -> Moment:
    """Game b as it stands; one that has just restarted as it ended, where it is drawn at all (render_mode)."""
    core, trait, n_agents = game.core, game.tables.trait, game.info.n_agents
    units, marks, clock = game.units, game.marks, game.clock
    if game.ended is not None and game.clock[b] == 0:
        units, marks, clock = game.ended
    unit, mark = units[b].copy(), marks[b].copy()
    is_alive = unit[core.HEALTH] > 0
    goal = np.where(mark[core.HAS_GOAL] > 0, unit[[core.GOAL_X, core.GOAL_Y]], np.nan).T
    living = is_alive[:n_agents].sum(), is_alive[n_agents:].sum()
    title = f"{game.map.name}   step {clock[b]}   agents {living[0]} of {n_agents}, enemies {living[1]}"
    return Moment(
        f"{title} of {len(is_alive) - n_agents}",
        game.map.walkable,
        n_agents,
        unit[[core.X, core.Y]].T,
        trait[core.RADIUS],
        trait[core.IS_AIR] > 0,
        unit[core.HEALTH] / trait[core.MAX_HEALTH],
        unit[core.SHIELD] / np.maximum(trait[core.MAX_SHIELD], 1.0),
        trait[core.MAX_SHIELD] > 0,
        trait[core.HEAL] > 0,
        np.where(is_alive, mark[core.SHOT_AT], -1),
        np.where(is_alive, mark[core.TARGET], -1),
        goal,
    )


def between(first: Moment, second: Moment, share: float) -> Moment:
    """What lies between two moments that follow each other, for a smoother animation; share in [0, 1]."""
    position = (1 - share) * first.position + share * second.position
    return second._replace(position=position, health=np.where(share < 1, first.health, second.health))


def view_of(moments: Sequence[Moment]) -> View:
    """The part of the map in which all that live in these moments are to be seen."""
    living = np.concatenate([now.position[now.health > 0] for now in moments])  # [K, 2]
    size = float(len(moments[0].walkable))
    sides = []
    for least, places in zip(LEAST_VIEW, living.T, strict=True):
        low, high = places.min() - MARGIN, places.max() + MARGIN
        more = max(least - (high - low), 0.0) / 2
        sides += [max(low - more, 0.0), min(high + more, size)]
    return View(*sides)


def draw(axis: Axes, now: Moment, view: View, adjacency: Array | None = None) -> None:
    """The moment, and over it the DAG's edges [N, N] (row: parent) between living agents."""
    axis.clear()
    axis.set_facecolor(WALL)
    size = len(now.walkable)
    axis.imshow(
        np.where(now.walkable.T[..., None], _rgb(FLOOR), _rgb(WALL)),
        origin="lower",
        extent=(0, size, 0, size),
        zorder=0,
    )
    is_alive, sides = now.health > 0, np.arange(len(now.health)) >= now.n_agents
    _draw_dead(axis, now, is_alive)
    _draw_orders(axis, now, is_alive)
    for side in (False, True):
        for flies in (False, True):
            chosen = np.flatnonzero(is_alive & (sides == side) & (now.is_air == flies))
            circles = [Circle(tuple(now.position[u]), now.radius[u]) for u in chosen]
            opacity, layer = (0.75, 4) if flies else (0.95, 3)
            axis.add_collection(
                PatchCollection(
                    circles, alpha=opacity, facecolor=SIDES[side], edgecolor="white", linewidth=1.0, zorder=layer
                )
            )
    _draw_bars(axis, now, is_alive)
    for agent in np.flatnonzero(is_alive[: now.n_agents]):
        x, y = now.position[agent]
        axis.text(
            x, y, str(agent), ha="center", va="center_baseline", color="white", fontsize=9, zorder=8, clip_on=True
        )
    if adjacency is not None:
        _draw_edges(axis, now, adjacency, is_alive)
    axis.set_xlim(view.left, view.right)
    axis.set_ylim(view.bottom, view.top)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    n_edges = "" if adjacency is None else f"   DAG edges {int(adjacency.sum())}"
    axis.set_title(now.title + n_edges, fontsize=10)


def _rgb(colour: str) -> Array:
    return np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])


def _draw_dead(axis: Axes, now: Moment, is_alive: Array) -> None:
    """A cross where a unit fell."""
    for side, colour in enumerate(SIDES):
        fell = np.flatnonzero(~is_alive & ((np.arange(len(is_alive)) >= now.n_agents) == side))
        x, y = now.position[fell].T
        axis.scatter(x, y, marker="x", s=22, c=colour, alpha=0.35, linewidths=1.2, zorder=1)


def _draw_orders(axis: Axes, now: Moment, is_alive: Array) -> None:
    """Dotted: who is to attack whom, or where an agent goes; solid: who has shot at, or healed, whom in this step."""
    dotted, solid, colours = [], [], []
    for u in np.flatnonzero(is_alive):
        if now.target[u] >= 0:
            dotted.append((now.position[u], now.position[now.target[u]]))
        elif u < now.n_agents and np.isfinite(now.goal[u]).all():
            dotted.append((now.position[u], now.goal[u]))
        if now.shot_at[u] >= 0:
            solid.append((now.position[u], now.position[now.shot_at[u]]))
            colours.append(HEAL if now.is_healer[u] else SIDES[int(u >= now.n_agents)])
    axis.add_collection(LineCollection(dotted, colors="#777", linewidths=0.6, linestyles=":", zorder=2))
    axis.add_collection(LineCollection(solid, colors=colours, linewidths=1.5, alpha=0.75, zorder=2))


def _draw_bars(axis: Axes, now: Moment, is_alive: Array) -> None:
    """Above each unit its health, and over that its shield; the dark part is lost."""
    lines, colours = [], []
    for u in np.flatnonzero(is_alive):
        (x, y), half = now.position[u], max(now.radius[u], 0.4)
        for k, (share, colour) in enumerate(((now.health[u], HEALTH), (now.shield[u], SHIELD))):
            if k == 1 and not now.has_shield[u]:
                continue
            height = y + now.radius[u] + BAR * (1 + 1.4 * k)
            lines += [
                ((x - half, height), (x + half, height)),
                ((x - half, height), (x - half + 2 * half * share, height)),
            ]
            colours += [LOST, colour]
    axis.add_collection(LineCollection(lines, colors=colours, linewidths=2.2, capstyle="butt", zorder=5))


def _draw_edges(axis: Axes, now: Moment, adjacency: Array, is_alive: Array) -> None:
    """An arrow from each parent to its child."""
    for parent, child in zip(*np.nonzero(adjacency > 0), strict=True):
        if is_alive[parent] and is_alive[child]:
            arrow = FancyArrowPatch(
                tuple(now.position[parent]),
                tuple(now.position[child]),
                connectionstyle="arc3,rad=0.22",
                arrowstyle="-|>",
                mutation_scale=10,
                shrinkA=8,
                shrinkB=8,
                color=EDGE,
                alpha=0.75,
                linewidth=1.2,
                zorder=7,
            )
            axis.add_patch(arrow)


def make_figure(view: View) -> tuple[Figure, Axes]:
    """A figure of the shape of this view; even numbers of pixels, as encoders of video want them."""
    height = INCHES * (view.top - view.bottom) / (view.right - view.left) + 0.4
    figure = Figure(figsize=(INCHES, round(min(height, INCHES) * DPI / 2) * 2 / DPI), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def render(now: Moment, adjacency: Array | None = None) -> Array:
    """The moment as pixels, [height, width, 3] uint8."""
    view = view_of([now])
    figure, axis = make_figure(view)
    draw(axis, now, view, adjacency)
    memory = io.BytesIO()
    figure.savefig(memory, format="rgba", dpi=DPI)
    width, height = figure.canvas.get_width_height()
    return np.frombuffer(memory.getvalue(), dtype=np.uint8).reshape(height, width, 4)[..., :3].copy()

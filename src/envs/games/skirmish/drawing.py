"""A moment of a battle as a picture: units by side and type, health, orders, shots, and who sees whose action."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch, Patch, RegularPolygon

from bn_mappo.core.specs import Array
from bn_mappo.envs.games.skirmish.moments import Moment, View, counts, view_of

FLOOR, WALL = "#f4f1ea", "#6d7480"
SIDES = ("#2f6db3", "#c8502d")  # allies, enemies
HEALTH, SHIELD, LOST, HEAL, EDGE, INK = "#3a9d5d", "#57b8d9", "#3b3f46", "#2faf63", "#6b2fa0", "#30343b"
OUTCOMES = {"won": HEALTH, "lost": SIDES[1]}  # other outcomes are grey
DPI = 80  # pixels an inch
WIDTH, SIDE, TITLE, EDGE_OF_PAGE = 9.6, 1.95, 0.36, 0.08  # inches; SIDE: of the column with matrix and legend
LEAST_HEIGHT, MOST_HEIGHT = 4.6, 7.0  # inches
BAR = 0.13  # cells between the lines of health and shield
CORNERS = (0, 4, 3, 5, 6)  # of the shapes of unit types, by size; 0: a circle
MANY_EDGES = 12  # more than these are drawn thinner


def draw(axis: Axes, now: Moment, view: View, adjacency: Array | None = None) -> None:
    """The moment, and over it the DAG's edges [N, N] (row: parent) between living agents."""
    draw_floor(axis, now, view)
    draw_units(axis, now, adjacency)


def draw_floor(axis: Axes, now: Moment, view: View) -> None:
    """What does not change in a battle."""
    size = len(now.walkable)
    floor = np.where(now.walkable.T[..., None], _rgb(FLOOR), _rgb(WALL))
    axis.imshow(floor, origin="lower", extent=(0, size, 0, size), zorder=0)
    axis.set(xlim=(view.left, view.right), ylim=(view.bottom, view.top), xticks=[], yticks=[], facecolor=WALL)
    axis.set_aspect("equal", anchor="C")


def draw_units(axis: Axes, now: Moment, adjacency: Array | None) -> None:
    """All that changes."""
    is_alive = now.health > 0
    _draw_dead(axis, now, is_alive)
    _draw_orders(axis, now, is_alive)
    _draw_bodies(axis, now, is_alive)
    _draw_bars(axis, now, is_alive)
    if adjacency is not None:
        _draw_edges(axis, now, adjacency, is_alive)
    for agent in np.flatnonzero(is_alive[: now.n_agents]):
        x, y = now.position[agent]
        style: dict[str, Any] = {
            "ha": "center",
            "va": "center_baseline",
            "color": "white",
            "fontsize": 8.5,
            "weight": "bold",
        }
        axis.text(x, y, str(agent), zorder=8, clip_on=True, **style)
    if now.outcome:
        _draw_outcome(axis, now.outcome)


def caption(now: Moment) -> str:
    """Map, step, and who is left."""
    agents, all_agents, enemies, all_enemies = counts(now)
    return f"{now.map_name}   step {now.step:>3}   agents {agents} of {all_agents}   enemies {enemies} of {all_enemies}"


def _rgb(colour: str) -> Array:
    return np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])


def _shapes(now: Moment) -> dict[str, int]:
    """The number of corners that each type of unit is drawn with."""
    radius = dict(zip(now.kinds, now.radius.tolist(), strict=True))
    names = sorted(radius, key=lambda name: (radius[name], name))
    return {name: CORNERS[k % len(CORNERS)] for k, name in enumerate(names)}


def _body(place: Array, radius: float, corners: int) -> Patch:
    """The outline of a unit, of about the area of its circle."""
    if corners == 0:
        return Circle(tuple(place), radius)
    area = 0.5 * corners * np.sin(2 * np.pi / corners)  # of a polygon of circumradius 1
    turn = np.pi / 4 if corners == 4 else 0.0
    return RegularPolygon(tuple(place), corners, radius=radius * float(np.sqrt(np.pi / area)), orientation=turn)


def _draw_dead(axis: Axes, now: Moment, is_alive: Array) -> None:
    """A cross where a unit fell."""
    for side, colour in enumerate(SIDES):
        fell = np.flatnonzero(~is_alive & ((np.arange(len(is_alive)) >= now.n_agents) == side))
        x, y = now.position[fell].T
        axis.scatter(x, y, marker="x", s=24, c=colour, alpha=0.4, linewidths=1.3, zorder=1)


def _draw_orders(axis: Axes, now: Moment, is_alive: Array) -> None:
    """Dotted: who is to attack whom, or where an agent goes; solid: who has shot at, or healed, whom in this step."""
    dotted, solid, colours = [], [], []
    for u in np.flatnonzero(is_alive):
        if now.target[u] >= 0 and u < now.n_agents:
            dotted.append((now.position[u], now.position[now.target[u]]))
        elif u < now.n_agents and np.isfinite(now.goal[u]).all():
            dotted.append((now.position[u], now.goal[u]))
        if now.shot_at[u] >= 0:
            solid.append((now.position[u], now.position[now.shot_at[u]]))
            colours.append(HEAL if now.is_healer[u] else SIDES[int(u >= now.n_agents)])
    axis.add_collection(LineCollection(dotted, colors="#8a8f98", linewidths=0.9, linestyles=(0, (1.5, 2)), zorder=2))
    axis.add_collection(LineCollection(solid, colors=colours, linewidths=1.0, alpha=0.6, zorder=2))


def _draw_bodies(axis: Axes, now: Moment, is_alive: Array) -> None:
    """Enemies below, units that others pass under above."""
    shapes, sides = _shapes(now), np.arange(len(now.health)) >= now.n_agents
    for side in (True, False):
        for flies in (False, True):
            chosen = np.flatnonzero(is_alive & (sides == side) & (now.is_above == flies))
            bodies = [_body(now.position[u], float(now.radius[u]), shapes[now.kinds[u]]) for u in chosen]
            opacity, layer = (0.8, 4) if flies else (1.0, 3)
            look: dict[str, Any] = {"facecolor": SIDES[side], "edgecolor": "white", "linewidth": 1.0}
            axis.add_collection(PatchCollection(bodies, alpha=opacity, zorder=layer, **look))


def _draw_bars(axis: Axes, now: Moment, is_alive: Array) -> None:
    """Above each unit its health, and over that its shield; the dark part is lost."""
    lines, colours = [], []
    for u in np.flatnonzero(is_alive):
        (x, y), half = now.position[u], max(now.radius[u], 0.4)
        for k, (share, colour) in enumerate(((now.health[u], HEALTH), (now.shield[u], SHIELD))):
            if k == 1 and not now.has_shield[u]:
                continue
            height, split = y + now.radius[u] + BAR * (1.6 + 1.5 * k), x - half + 2 * half * share
            lines += [((split, height), (x + half, height)), ((x - half, height), (split, height))]
            colours += [LOST, colour]
    axis.add_collection(LineCollection(lines, colors=colours, linewidths=2.6, capstyle="butt", zorder=5))


def _draw_edges(axis: Axes, now: Moment, adjacency: Array, is_alive: Array) -> None:
    """An arrow from each living parent to its living child, from rim to rim; thinner where there are many."""
    pairs = [(j, i) for j, i in zip(*np.nonzero(adjacency > 0), strict=True) if is_alive[j] and is_alive[i]]
    strength = min(1.0, (MANY_EDGES / max(len(pairs), 1)) ** 0.5)
    for parent, child in pairs:
        arrow = FancyArrowPatch(
            tuple(now.position[parent]),
            tuple(now.position[child]),
            connectionstyle="arc3,rad=0.25",
            arrowstyle="-|>,head_length=5,head_width=2.4",
            shrinkA=7,
            shrinkB=8,
            mutation_scale=1,
            color=EDGE,
            alpha=0.25 + 0.6 * strength,
            linewidth=0.5 + 0.9 * strength,
            zorder=7,
        )
        axis.add_artist(arrow)


def _draw_outcome(axis: Axes, outcome: str) -> None:
    colour = OUTCOMES.get(outcome, LOST)
    look: dict[str, Any] = {"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": "white", "linewidth": 2}
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white", "fontsize": 22, "weight": "bold"}
    axis.text(0.5, 0.88, outcome, transform=axis.transAxes, bbox=look, zorder=10, **style)


class Picture:
    """A figure of one battle: the map, and beside it the DAG as a matrix and the legend. Owns the figure.

    Only what changes is drawn anew from one moment to the next: the rest is kept as pixels.
    """

    def __init__(self, now: Moment, view: View, has_dag: bool):
        width = WIDTH - SIDE - 3 * EDGE_OF_PAGE
        height = width * (view.top - view.bottom) / (view.right - view.left) + TITLE + EDGE_OF_PAGE
        height = round(min(max(height, LEAST_HEIGHT), MOST_HEIGHT) * DPI / 2) * 2 / DPI  # even numbers, for video
        self.figure, self.size = Figure(figsize=(WIDTH, height), dpi=DPI), (WIDTH, height)
        self.canvas = FigureCanvasAgg(self.figure)
        self.field = self._axes(EDGE_OF_PAGE, EDGE_OF_PAGE, width, height - TITLE - EDGE_OF_PAGE)
        draw_floor(self.field, now, widened(view, width / (height - TITLE - EDGE_OF_PAGE)))
        left, matrix = WIDTH - SIDE, SIDE - 0.28
        self.matrix = self._axes(left + 0.18, height - TITLE - matrix, matrix, matrix) if has_dag else None
        if self.matrix is not None:
            _draw_grid(self.matrix, now.n_agents)
        top = height - TITLE - (matrix + 0.3 if has_dag else 0)
        box = (left / WIDTH, top / height)
        self.figure.legend(
            handles=_legend(now, has_dag), loc="upper left", bbox_to_anchor=box, frameon=False, fontsize=8,
            labelspacing=0.35, handlelength=1.6, borderaxespad=0, labelcolor=INK,
        )  # fmt: skip
        self.canvas.draw()
        self.background: Any = self.canvas.copy_from_bbox(self.figure.bbox)

    def _axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes at a place in inches; a layout that finds it would take longer than all drawing."""
        page = np.array([*self.size, *self.size])
        return self.figure.add_axes(tuple(np.array([left, bottom, width, height]) / page))

    def pixels(self, now: Moment, adjacency: Array | None) -> Array:
        """The figure of this moment, [height, width, 3] uint8."""
        before = {axis: set(axis.get_children()) for axis in self.figure.axes}
        draw_units(self.field, now, adjacency)
        self.field.text(0, 1.02, caption(now), transform=self.field.transAxes, fontsize=11, color=INK)
        if self.matrix is not None:
            _draw_matrix(self.matrix, now, adjacency)
        self.canvas.restore_region(self.background)
        for axis, known in before.items():
            added = [artist for artist in axis.get_children() if artist not in known]
            for artist in sorted(added, key=lambda artist: artist.get_zorder()):
                axis.draw_artist(artist)
                artist.remove()
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()


def widened(view: View, shape: float) -> View:
    """The view, made taller or wider to have this ratio of width to height."""
    width, height = view.right - view.left, view.top - view.bottom
    more_x, more_y = max(shape * height - width, 0.0) / 2, max(width / shape - height, 0.0) / 2
    return View(view.left - more_x, view.right + more_x, view.bottom - more_y, view.top + more_y)


def _draw_grid(axis: Axes, n: int) -> None:
    """An empty matrix of n agents."""
    ticks = range(0, n, 1 if n <= 12 else 5)
    axis.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xticks=ticks, yticks=ticks)
    axis.tick_params(length=0, labelsize=7, pad=1, colors=INK)
    axis.spines[:].set_visible(False)


def _draw_matrix(axis: Axes, now: Moment, adjacency: Array | None) -> None:
    """Parents by children; grey: one of the two is dead."""
    n, is_alive = now.n_agents, now.health[: now.n_agents] > 0
    edges = np.zeros((n, n)) if adjacency is None else np.asarray(adjacency) > 0
    lives = is_alive[:, None] & is_alive
    colours = np.where(lives[..., None], _rgb(FLOOR), _rgb("#d8d8d8"))
    colours = np.where((edges * lives)[..., None] > 0, _rgb(EDGE), colours)
    axis.pcolormesh(np.arange(n + 1) - 0.5, np.arange(n + 1) - 0.5, colours, edgecolors="white", linewidth=0.8)
    n_edges = int((edges * lives).sum())
    text = f"DAG: {n_edges} edges, row → column"
    axis.text(-0.06, 1.03, text, transform=axis.transAxes, fontsize=8, color=INK)


def _legend(now: Moment, has_dag: bool) -> list[Patch | Line2D]:
    """What colours, shapes and lines stand for."""
    markers = {0: "o", 4: "s", 3: "^", 5: "p", 6: "h"}
    entries: list[Patch | Line2D] = [Patch(color=SIDES[0], label="agents"), Patch(color=SIDES[1], label="enemies")]
    for name, corners in _shapes(now).items():
        style: dict[str, Any] = {"marker": markers[corners], "linestyle": "", "color": "#8a8f98", "markersize": 8}
        entries.append(Line2D([], [], label=name, **style))
    entries += [Line2D([], [], color=HEALTH, linewidth=3, label="health")]
    if now.has_shield.any():
        entries.append(Line2D([], [], color=SHIELD, linewidth=3, label="shield"))
    entries.append(Line2D([], [], color="#8a8f98", linestyle=(0, (1.5, 2)), label="an agent's order"))
    entries.append(Line2D([], [], color=SIDES[0], linewidth=1, label="shot"))
    if now.is_healer.any():
        entries.append(Line2D([], [], color=HEAL, linewidth=1, label="healing"))
    entries.append(Line2D([], [], color="#8a8f98", marker="x", linestyle="", label="fell here"))
    if has_dag:
        entries.append(Line2D([], [], color=EDGE, marker=">", markevery=[1], label="parent to child"))
    return entries


def render(now: Moment, adjacency: Array | None = None) -> Array:
    """The moment as pixels, [height, width, 3] uint8."""
    return Picture(now, view_of([now]), adjacency is not None).pixels(now, adjacency)

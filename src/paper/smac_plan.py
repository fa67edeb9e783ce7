"""The runs on SMAC's maps: variants of figures 4 and 6 to 10, and of the comparisons beyond the paper."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bn_mappo.config.loading import load_layers, load_preset
from bn_mappo.core.errors import unknown
from bn_mappo.core.nested import flatten
from bn_mappo.envs.games.skirmish.data import load_map
from bn_mappo.paper.figure4_plan import VARIANTS, Metric, Panel, Recipe
from bn_mappo.sweep.cells import Cell

ENV = "skirmish"
MAPS = ("MMM2", "6h_vs_8z")  # the paper's
ANNEALED = "annealed"
KINDS = ("learned", "distance", "random")  # ways to choose a given number of edges
MANY = 20  # checkpoints of a run whose graphs are looked at along the training


@dataclass(frozen=True)
class SmacPanel(Panel):
    """One map. Besides the four variants of every panel: `annealed`, and `learned_25`: 25 % of the edges, learned."""

    map_name: str = ""

    def intervals(self, steps: int, recipe: Recipe) -> dict[str, int]:
        return {**super().intervals(steps, recipe), "log_interval": max(steps // 100, 1)}

    def recipe(self, variant: str) -> Recipe:
        if variant == "context_aware":
            return super().recipe(variant)._replace(n_checkpoints=MANY)
        if variant == ANNEALED:
            return Recipe("bn_mappo_annealed", paper_annealing(self.map_name), MANY)
        kind, _, percent = variant.partition("_")
        if kind in KINDS and percent.isdigit() and 0 < int(percent) < 100:
            return self.sparse_recipe(kind, int(percent) / 100)
        if variant in VARIANTS:
            return super().recipe(variant)
        raise unknown("variant", variant, [*VARIANTS, ANNEALED, *(f"{kind}_25" for kind in KINDS)])

    def sparse_recipe(self, kind: str, share: float) -> Recipe:
        """Some of the edges that a DAG can have: annealed to them, between the nearest agents, or drawn at random."""
        if kind == "learned":
            annealing = (*paper_annealing(self.map_name), f"annealing.eta.end={share:g}")
            return Recipe("bn_mappo_annealed", annealing, MANY)
        if kind == "distance":
            n_edges = round(share * most_edges(self.map_name))
            return Recipe("bn_mappo", ("dag.generator=distance", f"dag.n_edges={max(n_edges, 1)}"))
        return Recipe("bn_mappo", ("dag.generator=random", f"dag.probability={share:g}"))


def most_edges(map_name: str) -> int:
    """Edges of the full DAG of a map's agents: N (N - 1) / 2."""
    n_agents = len(load_map(map_name).allies)
    return n_agents * (n_agents - 1) // 2


def paper_schedules(map_name: str) -> dict[str, float]:
    """The paper's schedules of eta and alpha for a map, from its preset: `eta.begin`, ..."""
    layers, given = load_layers("bn_mappo_annealed", ENV), {"env_args": {"map_name": map_name}}
    return flatten(load_preset("paper", ENV, layers, given)["annealing"])


def paper_annealing(map_name: str) -> tuple[str, ...]:
    """The same as KEY=VALUE."""
    return tuple(f"annealing.{key}={value}" for key, value in paper_schedules(map_name).items())


def break_points(map_name: str) -> tuple[float, float, float]:
    """Fractions a, b, c of training: edges begin to go, are all gone, and the weight against them stops to rise."""
    schedules = paper_schedules(map_name)
    return schedules["eta.begin"], schedules["eta.until"], schedules["alpha.until"]


def default_steps(preset: str | None) -> int:
    """Environment steps of a run: the preset's where it has its own, else those of the environment's file."""
    layers = load_layers("bn_mappo", ENV)
    own = load_preset(preset, ENV, layers, {}) if preset else {}
    return int(own.get("t_max", layers["t_max"]))


def smac_panel(map_name: str, preset: str | None = None, settings: Sequence[str] = ()) -> SmacPanel:
    """A map as a panel; `settings`, KEY=VALUE, hold for all of its runs. ConfigError where there is no such map."""
    load_map(map_name)
    return SmacPanel(
        map_name,
        f"{map_name} (Skirmish)",
        ENV,
        default_steps(preset),
        (f"env_args.map_name={map_name}",),
        (
            Metric("test_battle_won_mean", "battles won, greedy"),
            Metric("test_return_mean", "greedy return of an episode"),
        ),
        settings=tuple(settings),
        map_name=map_name,
    )


@dataclass(frozen=True)
class SmacPlan:
    """What one command compares."""

    panels: tuple[SmacPanel, ...]
    variants: tuple[str, ...]
    seeds: range
    t_max: int | None = None
    preset: str | None = None

    def cells(self) -> list[Cell]:
        """All runs, by seed, then map, then variant: an early stop leaves whole seeds."""
        return [
            replace(cell, place=panel.key)
            for seed in self.seeds
            for panel in self.panels
            for cell in panel.cells(range(seed, seed + 1), self.variants, self.t_max, self.preset)
        ]

    def cells_on(self, panel: SmacPanel) -> list[Cell]:
        """The runs on one map."""
        return [cell for cell in self.cells() if cell.place == panel.key]

    def cells_of(self, panel: SmacPanel, variant: str) -> list[Cell]:
        """The runs of one variant on one map."""
        return [cell for cell in self.cells_on(panel) if cell.variant == variant]

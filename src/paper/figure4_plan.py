"""Figure 4: which runs it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.sweep.cells import Cell

VARIANTS = {
    "context_aware": "learned",
    "full": "full",
    "line": "line",
    "uncorrelated": "empty",
}  # name in the paper -> dag.generator


class Recipe(NamedTuple):
    """What tells a variant from the others."""

    config: str  # of src/config/algs
    overrides: tuple[str, ...]  # KEY=VALUE
    n_checkpoints: int = 5  # of a run, evenly spread


class Metric(NamedTuple):
    """A quantity that the figure shows, as the runs log it."""

    name: str
    label: str


@dataclass(frozen=True)
class Panel:
    """One environment of the figure; its metrics in order of importance."""

    key: str
    title: str
    env_config: str
    t_max: int  # environment steps
    overrides: tuple[str, ...]
    metrics: tuple[Metric, ...]
    tail: float = 0.1  # a run is judged by the mean of its evaluations in this last part of it
    settings: tuple[str, ...] = ()  # KEY=VALUE that the user wants for all runs

    def recipe(self, variant: str) -> Recipe:
        """How a variant is trained; the paper's four by their DAGs."""
        if variant not in VARIANTS:
            raise unknown("variant", variant, list(VARIANTS))
        return Recipe("bn_mappo", (f"dag.generator={VARIANTS[variant]}",))

    def intervals(self, steps: int, recipe: Recipe) -> dict[str, int]:
        """How often a run of so many steps is evaluated and saved, in environment steps."""
        return {"test_interval": max(steps // 40, 1), "save_model_interval": max(steps // recipe.n_checkpoints, 1)}

    def cells(
        self, seeds: range, variants: Sequence[str], t_max: int | None = None, preset: str | None = None
    ) -> list[Cell]:
        """One run a seed and variant; all variants of a seed together, so that an early stop leaves whole seeds."""
        steps = t_max or self.t_max
        recipes = {variant: self.recipe(variant) for variant in variants}
        overrides = {variant: self.overrides_of(recipe, steps) for variant, recipe in recipes.items()}
        return [
            Cell(variant, seed, recipe.config, self.env_config, steps, overrides[variant], preset)
            for seed in seeds
            for variant, recipe in recipes.items()
        ]

    def overrides_of(self, recipe: Recipe, steps: int) -> tuple[str, ...]:
        """All settings of a variant's runs; ConfigError where one that holds for all variants would undo one of it."""
        given = {word.partition("=")[0] for word in self.settings}
        fixed = {word.partition("=")[0] for word in (*self.overrides, *recipe.overrides)} | {"seed", "t_max"}
        if given & fixed:
            raise ConfigError(f"--with {min(given & fixed)}=...: the figure sets it itself; leave it out")
        often = [f"{key}={n_steps}" for key, n_steps in self.intervals(steps, recipe).items() if key not in given]
        return (*self.overrides, *self.settings, *often, *recipe.overrides)


def aloha_panel() -> Panel:
    """Aloha with episodes of 20 steps, as in the released code: its reference values are for that length."""
    return Panel(
        "aloha",
        "Aloha, 2 x 5 islands",
        "aloha",
        1_000_000,
        ("env_args.episode_limit=20", "segment_length=20"),
        (Metric("test_return_mean", "greedy return of an episode"),),
    )


def coordination_panel(n_agents: int) -> Panel:
    """The Coordination Game with exact prices of anarchy."""
    return Panel(
        f"coordination_game_n{n_agents}",
        f"Coordination Game, N = {n_agents}",
        "coordination_game",
        200_000,
        (f"env_args.n_agents={n_agents}",),
        (Metric("test_poa", "POA, DAG at zero noise"), Metric("test_poa_sampled_dag", "POA, sampled DAG")),
    )

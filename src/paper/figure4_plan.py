"""Figure 4: which runs it is made of."""

from dataclasses import dataclass
from typing import NamedTuple

from bn_mappo.core.errors import unknown
from bn_mappo.paper.grid import Cell

VARIANTS = {
    "context_aware": "learned",
    "full": "full",
    "line": "line",
    "uncorrelated": "empty",
}  # name in the paper -> dag.generator


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

    def cells(
        self, seeds: range, variants: tuple[str, ...], t_max: int | None = None, preset: str | None = None
    ) -> list[Cell]:
        """One run a seed and variant; all variants of a seed together, so that an early stop leaves whole seeds."""
        steps = t_max or self.t_max
        often = (f"test_interval={max(steps // 40, 1)}", f"save_model_interval={max(steps // 5, 1)}")
        return [
            Cell(
                variant,
                seed,
                "bn_mappo",
                self.env_config,
                steps,
                (*self.overrides, *often, f"dag.generator={VARIANTS[variant]}"),
                preset,
            )
            for seed in seeds
            for variant in variants
        ]


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


def panels(env: str, n_agents: list[int]) -> list[Panel]:
    """The panels of one command."""
    if env == "aloha":
        return [aloha_panel()]
    if env == "coordination_game":
        return [coordination_panel(n) for n in n_agents]
    raise unknown("environment", env, ["aloha", "coordination_game"])

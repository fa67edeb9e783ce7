"""Command line of the figures on SMAC's maps. They share one folder, so that each training is made once for all."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bn_mappo.cli.figure_options import (
    FIGURES_FOLDER,
    add_grid,
    add_settings,
    check_counts,
    check_first_seed,
    check_settings,
    machines_of,
    raise_if_failed,
)
from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.core.threads import single_threaded

if TYPE_CHECKING:  # NumPy may only come in after single_threaded()
    from bn_mappo.paper.smac_plan import SmacPlan

ENV = "skirmish"
MAPS = ["MMM2", "6h_vs_8z"]
SEEDS, QUICK_SEEDS = 5, 2
FIRST_SEED = 30  # settings were chosen on seeds below it (docs/deviations.md)
QUICK_SHARE, QUICK_STEPS = 100, 30_000  # --quick trains for so many times fewer steps, and never for more than these
QUICK_EPISODES = 16


def add_maps(parser: argparse.ArgumentParser) -> None:
    """The maps of a figure."""
    parser.add_argument("--maps", nargs="+", default=MAPS, help=f"maps of skirmish (default: {' '.join(MAPS)})")


def add_smac(parser: argparse.ArgumentParser, variants: str, n_episodes: int, of_what: str) -> None:
    """Options of every figure here."""
    parser.add_argument("--env", default=ENV, help=f"{ENV} (default), the one there is")
    add_maps(parser)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of seeds (default: {SEEDS})")
    parser.add_argument("--variants", nargs="+", help=f"what is trained (default: {variants})")
    parser.add_argument("--t-max", type=int, help="environment steps of a run (default: 3e6; with paper 2e7)")
    parser.add_argument("--episodes", type=int, default=n_episodes, help=f"games of {of_what} (default: {n_episodes})")
    add_grid(parser, FIRST_SEED, str(FIRST_SEED))
    add_settings(parser)
    parser.add_argument(
        "--output",
        type=Path,
        help="folder with the trainings of all figures on skirmish, in runs/, and the files of each figure "
        "(default: results/figures/skirmish)",
    )
    parser.add_argument("--quick", action="store_true", help="2 seeds, a hundredth of the steps: to see that it works")


def folder_of(options: argparse.Namespace) -> Path:
    """The folder that the figures on Skirmish share: runs made with other settings have another one."""
    name = "_".join(word for word in (ENV, options.preset, options.quick and "quick") if word)
    return options.output or FIGURES_FOLDER / name


def quick_steps(t_max: int) -> int:
    """Environment steps of a run with --quick, the same for every figure."""
    return min(t_max // QUICK_SHARE, QUICK_STEPS)


def plan_of(options: argparse.Namespace, variants: tuple[str, ...]) -> "SmacPlan":
    """The checked runs of a command."""
    check_counts(options, "seeds", "t_max", "episodes")
    check_first_seed(options)
    check_settings(options.settings)
    single_threaded()
    from bn_mappo.config.loading import preset_names
    from bn_mappo.paper.smac_plan import SmacPlan, smac_panel

    if options.env != ENV:
        raise unknown("environment of this figure", options.env, [ENV])
    if options.preset and options.preset not in preset_names(ENV):
        raise unknown(f"preset of {ENV}", options.preset, preset_names(ENV))
    n_seeds, t_max = options.seeds, options.t_max
    panels = tuple(smac_panel(name, options.preset, options.settings) for name in options.maps)
    if options.quick:
        n_seeds, t_max = QUICK_SEEDS, quick_steps(panels[0].t_max)
        options.episodes = min(options.episodes, QUICK_EPISODES)
    seeds = range(options.first_seed, options.first_seed + n_seeds)
    plan = SmacPlan(panels, tuple(options.variants or variants), seeds, t_max, options.preset)
    plan.cells()  # meets every unknown variant
    return plan


def add_fig6(parser: argparse.ArgumentParser) -> None:
    """Options of figure 6."""
    add_smac(parser, "annealed full uncorrelated", 1000, "each last checkpoint")


def run_fig6(options: argparse.Namespace) -> None:
    """Figure 6: battles won while the DAG is annealed away, and whether what is left beats uncorrelated agents."""
    plan = plan_of(options, ("annealed", "full", "uncorrelated"))
    from bn_mappo.paper.figure6_main import make_figure6

    base = folder_of(options)
    failed = make_figure6(plan, base / "fig6", base / "runs", options.episodes, machines_of(options))
    print(f"Figure, data and report are in {base / 'fig6'}")
    raise_if_failed(failed, base / "runs")


def add_course(parser: argparse.ArgumentParser) -> None:
    """Options of figures 7 to 10."""
    add_smac(parser, "annealed", 64, "each checkpoint")


def run_parents(name: str, options: argparse.Namespace) -> None:
    """Figures 7 to 9."""
    plan = plan_of(options, ("annealed",))
    from bn_mappo.paper.parents_files import make_parents

    base = folder_of(options)
    failed = make_parents(name, plan, base / name, base / "runs", options.episodes, machines_of(options))
    print(f"Figure, data and report are in {base / name}")
    raise_if_failed(failed, base / "runs")


def run_fig7(options: argparse.Namespace) -> None:
    """Figure 7: how many of the parents that agents choose are visible to them, against random parents."""
    run_parents("fig7", options)


def run_fig8(options: argparse.Namespace) -> None:
    """Figure 8: the health of the parents that agents choose, against random parents."""
    run_parents("fig8", options)


def run_fig9(options: argparse.Namespace) -> None:
    """Figure 9: the distance of the parents that agents choose, against random parents."""
    run_parents("fig9", options)


def run_fig10(options: argparse.Namespace) -> None:
    """Figure 10: how far the policy along its DAG differs from the same policy without edges, agent by agent."""
    plan = plan_of(options, ("annealed",))
    from bn_mappo.paper.figure10_files import make_figure10

    base = folder_of(options)
    failed = make_figure10(plan, base / "fig10", base / "runs", options.episodes, machines_of(options))
    print(f"Figure, data and report are in {base / 'fig10'}")
    raise_if_failed(failed, base / "runs")


def add_communication(parser: argparse.ArgumentParser) -> None:
    """Options of the comparison of communication."""
    add_smac(parser, "the paper's four, and learned, distance and random edges", 1000, "each last checkpoint")
    parser.add_argument(
        "--densities",
        type=float,
        nargs="+",
        default=[0.1, 0.25, 0.5],
        help="shares of the edges of the full DAG, in whole percents (default: 0.1 0.25 0.5)",
    )


def run_communication(options: argparse.Namespace) -> None:
    """Beyond the paper: battles won against bits and rounds; learned edges against the nearest agents and chance."""
    wrong = [share for share in options.densities if not 0.01 <= share <= 0.99 or round(100 * share, 6) % 1]
    if wrong:
        raise ConfigError(f"--densities {wrong[0]:g}: give shares from 0.01 to 0.99, in whole percents")
    single_threaded()
    from bn_mappo.paper.communication import variants_of
    from bn_mappo.paper.communication_files import make_communication

    plan, base = plan_of(options, variants_of(options.densities)), folder_of(options)
    folder = base / "communication"
    failed = make_communication(plan, folder, base / "runs", options.episodes, machines_of(options))
    print(f"Figure, data and report are in {folder}")
    raise_if_failed(failed, base / "runs")


SMAC_FIGURES: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]] = {
    "fig6": (add_fig6, run_fig6),
    "fig7": (add_course, run_fig7),
    "fig8": (add_course, run_fig8),
    "fig9": (add_course, run_fig9),
    "fig10": (add_course, run_fig10),
    "communication": (add_communication, run_communication),
}

"""Command line: one figure of the paper is one command, `python src/reproduce.py FIGURE`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bn_mappo.cli.figure_options import (
    FIGURES_FOLDER,
    add_grid,
    add_settings,
    check_counts,
    check_first_seed,
    check_settings,
    machines_of,
    raise_if_failed,
    status_of,
)
from bn_mappo.cli.reproduce_smac import FIRST_SEED, SMAC_FIGURES, add_maps, folder_of, quick_steps
from bn_mappo.core.program import program
from bn_mappo.core.threads import single_threaded

FIG4 = FIGURES_FOLDER / "fig4"


def add_fig3(parser: argparse.ArgumentParser) -> None:
    """Options of figure 3."""
    parser.add_argument("--n", type=int, nargs="+", default=[2, 3, 5], help="numbers of agents (default: 2 3 5)")
    parser.add_argument("--game", type=Path, nargs="+", default=[], help="games as .npz files, in place of --n")
    parser.add_argument("--seeds", type=int, default=50, help="number of seeds, from 0 (default: 50)")
    parser.add_argument("--iterations", type=int, default=2000, help="gradient steps (default: 2000)")
    parser.add_argument("--evaluate-every", type=int, default=20, help="steps between evaluations (default: 20)")
    parser.add_argument("--step", default="released", help="released (0.01 S / N), theorem (5.5) or a number")
    dags = ["uncorrelated", "line", "full", "line_released"]
    parser.add_argument("--dags", nargs="+", default=dags, help=f"DAGs to compare (default: {' '.join(dags)})")
    bounds = ["inclusive", "strict"]
    parser.add_argument(
        "--reward-bound", nargs="+", default=bounds, choices=bounds, help="readings of the reward bound"
    )
    parser.add_argument("--output", type=Path, default=FIGURES_FOLDER / "fig3", help="folder for the files")
    parser.add_argument("--quick", action="store_true", help="3 seeds, 60 iterations, N = 2 3: to see that it works")


def run_fig3(options: argparse.Namespace) -> None:
    """Figure 3: POA and Nash-gap of exact policy gradients."""
    check_counts(options, "seeds", "iterations", "evaluate_every")
    single_threaded()
    from bn_mappo.paper.figure3 import Plan, coordination_cases, game_case
    from bn_mappo.paper.figure3_main import make_figure3
    from bn_mappo.tabular.game_file import load_game

    if options.quick:
        options.seeds, options.iterations, options.n = 3, 60, [n for n in options.n if n <= 3] or [2]
    plan = Plan(
        tuple(range(options.seeds)), options.iterations, options.evaluate_every, options.step, tuple(options.dags)
    )
    cases = [game_case(load_game(path)) for path in options.game]
    make_figure3(cases or coordination_cases(options.n, options.reward_bound), plan, options.output)
    print(f"Figure, data and report are in {options.output}")


def add_fig4(parser: argparse.ArgumentParser) -> None:
    """Options of figure 4."""
    parser.add_argument("--env", default="aloha", help="aloha (default), coordination_game or skirmish")
    parser.add_argument(
        "--n", type=int, nargs="+", default=[2, 5], help="agents of the Coordination Game (default: 2 5)"
    )
    add_maps(parser)
    parser.add_argument(
        "--seeds", type=int, help="number of seeds (default: 10 for aloha, 50 for coordination_game, 5 for skirmish)"
    )
    parser.add_argument("--variants", nargs="+", help="some of context_aware full line uncorrelated (default: all)")
    parser.add_argument(
        "--t-max", type=int, help="environment steps of a run (default: 1e6 for aloha, 2e5, 3e6 for skirmish)"
    )
    add_grid(parser, None, f"0; {FIRST_SEED} for skirmish")
    add_settings(parser)
    parser.add_argument(
        "--output", type=Path, help="folder for runs and files (default: results/figures/fig4/ENV; see --help of fig6)"
    )
    parser.add_argument("--quick", action="store_true", help="2 seeds, few steps: to see that it works")


def run_fig4(options: argparse.Namespace) -> None:
    """Figure 4: what context-aware, full, line and uncorrelated agents earn, and the density of the learned DAG."""
    check_counts(options, "seeds", "t_max")
    check_first_seed(options)
    check_settings(options.settings)
    single_threaded()
    from dataclasses import replace

    from bn_mappo.config.loading import preset_names
    from bn_mappo.core.errors import unknown
    from bn_mappo.paper.figure4 import make_figure4, panels
    from bn_mappo.paper.figure4_plan import VARIANTS

    for name in options.variants or ():
        if name not in VARIANTS:
            raise unknown("variant", name, list(VARIANTS))
    known = preset_names(options.env)
    if options.preset and known and options.preset not in known:
        raise unknown(f"preset of {options.env}", options.preset, known)
    plans = panels(options.env, options.n, options.maps, options.preset, options.settings)
    on_smac = options.env == "skirmish"
    n_seeds = options.seeds or {"aloha": 10, "skirmish": 5}.get(options.env, 50)
    name = "_".join(word for word in (options.env, options.preset, options.quick and "quick") if word)
    base = folder_of(options) if on_smac else options.output or FIG4 / name
    folder = base / "fig4" if on_smac else base
    t_max = options.t_max
    if options.quick:
        shortest = min(plan.t_max for plan in plans)
        n_seeds, t_max = 2, quick_steps(shortest) if on_smac else shortest // 20
    variants = tuple(options.variants or VARIANTS)
    default_seed = FIRST_SEED if on_smac else 0
    first_seed = default_seed if options.first_seed is None else options.first_seed
    cells = [
        replace(cell, place=plan.key)
        for seed in range(first_seed, first_seed + n_seeds)
        for plan in plans
        for cell in plan.cells(range(seed, seed + 1), variants, t_max, options.preset)
    ]
    failed = make_figure4(plans, cells, folder, base / "runs", machines_of(options))
    print(f"Figure, data and report are in {folder}")
    raise_if_failed(failed, base / "runs")


def add_fig5(parser: argparse.ArgumentParser) -> None:
    """Options of figure 5."""
    parser.add_argument("--run", help="folder or checkpoint of a bn_mappo run on Aloha (default: that of figure 4)")
    parser.add_argument("--quick", action="store_true", help="train for 50,000 steps instead of 1,000,000")
    parser.add_argument("--checkpoint", type=int, default=0, help="environment steps; 0: the last (default)")
    parser.add_argument("--steps", type=int, nargs="+", help="steps of the episode to draw (default: four of them)")
    parser.add_argument("--agent", type=int, default=7, help="whose parents are marked (default: 7)")
    parser.add_argument("--output", type=Path, default=FIGURES_FOLDER / "fig5", help="folder for the files")


def run_fig5(options: argparse.Namespace) -> None:
    """Figure 5: the learned DAG over the islands of Aloha, step by step, and as an animation."""
    single_threaded()
    from bn_mappo.analysis.trained_policy import load_policy
    from bn_mappo.paper.figure5 import make_figure5, train_run

    runs = options.output / "runs" if options.quick else FIG4 / "aloha" / "runs" / "aloha"
    run = options.run or str(train_run(runs, options.quick))
    make_figure5(load_policy(run, options.checkpoint), options.steps, options.agent, options.output)
    print(f"Figure, animation, data and report are in {options.output}")


def add_ablations(parser: argparse.ArgumentParser) -> None:
    """Options of the ablations."""
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: 10)")
    parser.add_argument("--variants", nargs="+", help="some of the ablations; a wrong name lists them (default: all)")
    parser.add_argument("--t-max", type=int, default=500_000, help="environment steps of a run (default: 500000)")
    add_grid(parser)
    parser.add_argument("--output", type=Path, default=FIGURES_FOLDER / "ablations", help="folder for runs and files")
    parser.add_argument("--quick", action="store_true", help="2 seeds, 25,000 steps: to see that it works")


def run_ablations(options: argparse.Namespace) -> None:
    """What each defect of the released code does to the return on Aloha, with the learned DAG."""
    check_counts(options, "seeds", "t_max")
    check_first_seed(options)
    single_threaded()
    from bn_mappo.core.errors import unknown
    from bn_mappo.paper.ablations import ABLATIONS, ablation_cells, make_ablations

    for name in options.variants or ():
        if name not in ABLATIONS:
            raise unknown("ablation", name, list(ABLATIONS))
    folder, n_seeds, t_max = options.output, options.seeds, options.t_max
    if options.quick:
        folder, n_seeds, t_max = folder.with_name(folder.name + "_quick"), 2, 25_000
    seeds = range(options.first_seed, options.first_seed + n_seeds)
    cells = ablation_cells(options.variants or tuple(ABLATIONS), seeds, t_max)
    failed = make_ablations(cells, folder, machines_of(options))
    print(f"Figure, data and report are in {folder}")
    raise_if_failed(failed, folder / "runs")


FIGURES: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]]] = {
    "fig3": (add_fig3, run_fig3),
    "fig4": (add_fig4, run_fig4),
    "fig5": (add_fig5, run_fig5),
    "ablations": (add_ablations, run_ablations),
    **SMAC_FIGURES,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the figure that was asked for; the exit status, 2 with one message for a user's mistake."""
    parser = argparse.ArgumentParser(prog=program("reproduce"), description=__doc__)
    figures = parser.add_subparsers(dest="figure", required=True, metavar="FIGURE")
    for name, (add_options, run) in FIGURES.items():
        add_options(figures.add_parser(name, help=run.__doc__, description=run.__doc__))
    options = parser.parse_args(arguments)
    return status_of(f"reproduce {options.figure}", lambda: FIGURES[options.figure][1](options))

"""Command line: information and value of the messages of a trained DAG policy: `python src/analyse.py RUN`."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.program import program
from bn_mappo.core.threads import single_threaded

DESCRIPTION = """Analyses a recorded run whose agents act along a DAG: total correlation of the joint policy,
information and value of every edge, communication, and the return when messages get lost.
docs/analysis.md defines each."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog=program("analyse"), description=DESCRIPTION)
    options.add_argument("run", metavar="RUN", help="a run's folder, or a checkpoint file")
    options.add_argument("--step", type=int, default=0, help="which checkpoint, in environment steps (default: latest)")
    options.add_argument("--episodes", type=int, default=200, help="episodes a variant of the policy (default: 200)")
    losses = [0.0, 0.05, 0.1, 0.2, 0.5, 1.0]
    options.add_argument("--loss", type=float, nargs="+", default=losses, help="probabilities that a message is lost")
    options.add_argument("--sampled-dag", action="store_true", help="DAGs with the noise of training, not their mode")
    options.add_argument("--sampled-actions", action="store_true", help="returns of sampled actions, not the likeliest")
    options.add_argument("--output", type=Path, help="folder for the files (default: analysis/ in the run's folder)")
    return options


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be, before anything is read."""
    if options.episodes < 2:
        raise ConfigError(f"--episodes {options.episodes}: give at least 2, for intervals need several")
    if options.step < 0:
        raise ConfigError(f"--step {options.step}: give a number of environment steps")
    for loss in options.loss:
        if not 0 <= loss <= 1:
            raise ConfigError(f"--loss {loss:g}: a probability lies between 0 and 1")
    if options.output is not None and options.output.exists() and not options.output.is_dir():
        raise ConfigError(f"--output {options.output}: this is a file; name a folder")
    if not Path(options.run).exists():
        found = sorted(str(path.parent) for path in Path.cwd().glob("results/sacred/*/*/*/checkpoints"))
        known = (
            f"Runs here: {', '.join(found[:8])}."
            if found
            else "A run is a folder such as results/sacred/bn_mappo/aloha/1."
        )
        raise ConfigError(f"{options.run}: there is no such run.\n{known}")


def analyse(options: argparse.Namespace) -> None:
    """Measure, write the files, print the summary."""
    check(options)
    single_threaded()
    from bn_mappo.analysis.policy_study import Plan, study, total_work
    from bn_mappo.analysis.provenance import provenance
    from bn_mappo.analysis.study_files import cells, headline, loss_table, write_page, write_summary, write_tables
    from bn_mappo.analysis.study_pictures import draw_all
    from bn_mappo.analysis.trained_policy import load_policy
    from bn_mappo.core.progress import progress

    run = load_policy(options.run, options.step)
    folder: Path = options.output or run.folder / "analysis"
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    plan = Plan(options.episodes, tuple(sorted(set(options.loss))), options.sampled_dag, not options.sampled_actions)
    with progress(total_work(plan, run.mac.info.n_agents)) as report:
        result = study(run.config, run.mac, plan, run.fraction, report)
    seconds = f"{time.perf_counter() - started:.0f} s"
    origin = {"run": run.name, "checkpoint": str(run.checkpoint), **provenance(), "time": seconds}
    write_tables(result, folder)
    write_summary(result, origin, folder / "summary.json")
    write_page(result, origin, draw_all(result, folder), folder / "index.html")
    print(f"\n{run.name}")
    for name, mean in headline(result).items():
        print(f"  {name.replace('_', ' '):<24} {' '.join(cells(mean))}")
    for loss, mean, _ in loss_table(result):
        print(f"  {f'return, {loss:.0%} lost':<24} {' '.join(cells(mean))}")
    for edge in result.edges[:3]:
        print(f"  {f'value of edge {edge.parent} -> {edge.child}':<24} {' '.join(cells(edge.value))}")
    print(f"Page: {folder / 'index.html'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status, 2 with one message for a user's mistake."""
    options = parser().parse_args(arguments)
    try:
        analyse(options)
    except (ConfigError, OSError) as error:
        fail(error, 2)
    return 0

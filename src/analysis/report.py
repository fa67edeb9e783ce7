"""The report after a run: a summary beside known policies, pictures, and where everything is."""

import ast
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bn_mappo.analysis.episode import record_episode
from bn_mappo.analysis.pictures import draw_dag, draw_learning_curve
from bn_mappo.analysis.replays import save_film
from bn_mappo.analysis.seed_statistics import mean_intervals
from bn_mappo.config.loading import given_names, load_layers, merge
from bn_mappo.config.schema import Config, claimed, prune, used_values, validate
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core import ranks
from bn_mappo.core.errors import RunError
from bn_mappo.core.nested import differences
from bn_mappo.core.program import program
from bn_mappo.core.secrets import MASK
from bn_mappo.envs.references import References, reference_outcomes
from bn_mappo.envs.registry import env_layer, fill_env_args, is_batched, make_vec_env
from bn_mappo.tracking.metrics import Row, read_metrics
from bn_mappo.training.build import Setup
from bn_mappo.training.trainer import RunResult

REFERENCE_EPISODES = 500
Array = np.ndarray


def references(config: Config) -> References:
    """What scripted policies earn in the configured environment; empty where it has none."""
    if not is_batched(config.env):
        return {}
    on_arrays = replace(config, runner="vector")
    return reference_outcomes(make_vec_env(on_arrays, REFERENCE_EPISODES, "reference"), seed=0)


def table(rows: References, marked: str) -> str:
    """A line a policy, by rising return: mean return, battles won where there are battles, name."""
    ordered = sorted(rows.items(), key=lambda row: row[1]["return"])
    has_battles = any("battle_won" in means for means in rows.values())
    lines = [f"     {'return':>10}  {'won':>6}" if has_battles else f"     {'return':>10}"]
    for name, means in ordered:
        won = f"  {means['battle_won']:>6.1%}" if "battle_won" in means else f"  {'':>6}" if has_battles else ""
        lines.append(f"  {'->' if name == marked else '  '} {means['return']:>10.2f}{won}  {name}")
    return "\n".join(lines)


def report_training(config: Config, setup: Setup, result: RunResult, folder: Path) -> list[Path]:
    """Print the summary; unless report=false, hold it against scripted policies, and draw pictures and the last game.

    Returns the paths of what it has drawn.
    """
    rows, known = read_metrics(folder), references(config) if config.report else {}
    mode = "greedy" if config.test_greedy else "sampled"
    print(f"\n{'Interrupted' if result.signum else 'Finished'} after {result.t_env:,} environment steps.")
    if result.test:
        ours = f"this run ({mode} policy, {config.test_nepisode} episodes)"
        print("Means of an episode:\n" + table({**known, ours: measured(result.test)}, ours))
        if rows and "dag_density" in rows[-1] and isinstance(setup.mac.deployed, DAGMAC):
            print(f"Density of the DAG: {rows[-1]['dag_density']:.2f}")
    drawn = draw_pictures(rows, known, config, setup, result, folder) if config.report else {}
    print(f"Run:       {folder}")
    for kind, paths in drawn.items():
        for path in paths:
            print(f"{kind + ':':<10} {path}")
    if config.save_model or result.signum:
        command = resume_command(config, folder)
        together = f"torchrun --standalone --nproc-per-node={ranks.size()}"  # a checkpoint has the games of all
        resume = command if ranks.size() == 1 else command.replace("python", together, 1)
        print(f"Go on:     {resume} t_max={config.t_max if result.signum else 2 * config.t_max}")
        print(f"Evaluate:  {command} t_max={config.t_max} evaluate=True")
    return [path for paths in drawn.values() for path in paths]


def draw_pictures(
    rows: list[Row], known: References, config: Config, setup: Setup, result: RunResult, folder: Path
) -> dict[str, list[Path]]:
    """The learning curve; one game of the final policy with its DAG, and as an animation where it can be drawn."""
    drawn = {"Picture": [draw_learning_curve(rows, known, config, folder / "learning_curve.png")] if rows else []}
    drawn["Animation"] = []
    mac = setup.mac.deployed
    has_dag = isinstance(mac, DAGMAC)
    if has_dag or is_batched(config.env):
        episode = record_episode(config, mac, result.t_env)
        if has_dag:
            drawn["Picture"].append(draw_dag(episode, setup.info, folder / "dag.png"))
        if episode.film is not None and result.signum is None:  # who stops a run wants it to stop
            try:
                drawn["Animation"].append(save_film(episode.film, folder, "last_game"))
            except RunError as error:
                print(f"warning: {error}", file=sys.stderr)
    return drawn


def measured(test: dict[str, float]) -> dict[str, float]:
    """An evaluation by the names that scripted policies' means have."""
    return {name.removeprefix("test_").removesuffix("_mean"): value for name, value in test.items()}


def resume_command(config: Config, folder: Path) -> str:
    """The command line that goes on with this run: its names, and all in which it differs from their YAML."""
    alg, env = folder.parent.parent.name, folder.parent.name
    layers = load_layers(alg, env, env_layer(env))
    layers["env_args"] = fill_env_args(layers["env"], layers["env_args"])
    own = {"checkpoint_path", "load_step", "evaluate", "save_replay", "save_steps", "t_max", "name", "plugins"}
    values, names = config.values(), given_names(layers)  # the names of the YAML, where the run has these keys
    layers = validate(used_values(merge(layers, given_names(values)))).values()
    layers = merge(layers, prune(names, claimed(Config, values)))
    if MASK in config.mongo_url:
        own.add("mongo_url")  # the password is not ours to print: MONGO_URL has it
    changes = [f"{key}={as_word(new)}" for key, (_, new) in differences(layers, values).items() if key not in own]
    quoted = [shlex.quote(change) for change in (f"checkpoint_path={folder}", *changes)]
    plugins = [shlex.quote(f"--import={name}") for name in config.plugins]
    return " ".join([program(), *plugins, f"--config={alg} --env-config={env} with", *quoted])


def as_word(value: Any) -> str:
    """A value as the command line takes it: a text stands as it is, unless that would be read as something else."""
    if not isinstance(value, str):
        return repr(value).replace(" ", "")
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)


def report_evaluation(episodes: dict[str, Array], config: Config, folder: Path) -> dict[str, float]:
    """Print mean, median and interval of every quantity of the evaluated episodes; returns them by name."""
    n_episodes = len(episodes["return"])
    summary: dict[str, float] = {}
    print(f"\n{n_episodes} episodes, {'greedy' if config.test_greedy else 'sampled'} policy")
    print(f"{'':<16} {'mean':>10} {'median':>10}   95 % interval of the mean (bootstrap over episodes)")
    for name, values in episodes.items():
        low, high = (float(bound[0]) for bound in mean_intervals(values[:, None].astype(float)))
        summary |= {f"test_{name}_mean": float(values.mean()), f"test_{name}_median": float(np.median(values))}
        summary |= {f"test_{name}_low": low, f"test_{name}_high": high}
        print(f"{name:<16} {values.mean():>10.3f} {np.median(values):>10.3f}   [{low:.3f}, {high:.3f}]")
    print(f"Run: {folder}")
    return summary

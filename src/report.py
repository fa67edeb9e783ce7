"""What a finished run tells its user: a summary against known policies, pictures, and where everything is."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from analysis.episode import record_episode
from analysis.pictures import draw_dag, draw_learning_curve
from analysis.seed_statistics import mean_intervals
from envs import fill_env_args, is_batched, make_vec_env
from envs.references import reference_returns
from run import RunResult, Setup
from utils.config import Config, load_layers
from utils.masking import MASK
from utils.tracking import read_metrics

REFERENCE_EPISODES = 500
Array = np.ndarray


def references(config: Config) -> dict[str, float]:
    """What scripted policies earn in the configured environment; empty where it knows none."""
    if not is_batched(config.env):
        return {}
    on_arrays = config.model_copy(update={"runner": "vector"})
    return reference_returns(make_vec_env(on_arrays, REFERENCE_EPISODES, "reference"), seed=0)


def _table(rows: dict[str, float], marked: str) -> str:
    ordered = sorted(rows.items(), key=lambda row: row[1])
    return "\n".join(f"  {'->' if name == marked else '  '} {value:>10.2f}  {name}" for name, value in ordered)


def report_training(config: Config, setup: Setup, result: RunResult, folder: Path) -> list[Path]:
    """Print the summary, draw the pictures; returns their paths."""
    rows = read_metrics(folder)
    known = references(config)
    mode = "greedy" if config.test_greedy else "sampled"
    print(f"\n{'Interrupted' if result.signum else 'Finished'} after {result.t_env:,} environment steps.")
    if result.test:
        ours = f"this run ({mode} policy, {config.test_nepisode} episodes)"
        print("Mean return of an episode:\n" + _table({**known, ours: result.test["test_return_mean"]}, ours))
    pictures = [draw_learning_curve(rows, known, config, folder / "learning_curve.png")] if rows else []
    if config.mac == "dag_controller":
        episode = record_episode(config, setup.mac, result.t_env)
        pictures.append(draw_dag(episode, setup.info, folder / "dag.png"))
    print(f"Run:      {folder}")
    for picture in pictures:
        print(f"Picture:  {picture}")
    if config.save_model or result.signum:
        command = resume_command(config, folder)
        print(f"Go on:    {command} t_max={config.t_max if result.signum else 2 * config.t_max}")
        print(f"Evaluate: {command} t_max={config.t_max} evaluate=True")
    return pictures


def resume_command(config: Config, folder: Path) -> str:
    """The command line that goes on with this run: its names, and all in which it differs from their YAML."""
    alg, env = folder.parent.parent.name, folder.parent.name
    layers = load_layers(alg, env)
    layers["env_args"] = fill_env_args(layers["env"], layers["env_args"])
    own = {"checkpoint_path", "load_step", "evaluate", "save_replay", "t_max", "name"}
    values = config.model_dump()
    if MASK in config.mongo_url:
        own.add("mongo_url")  # the password is not ours to print: MONGO_URL has it
    changes = [f"{key}={value!r}".replace(" ", "") for key, value in differences(layers, values) if key not in own]
    quoted = [shlex.quote(change) for change in changes]
    return " ".join([f"python src/main.py --config={alg} --env-config={env} with checkpoint_path={folder}", *quoted])


def differences(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys, with dots, of nested dictionaries whose values differ, with the later value."""
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.keys() >= old.keys():
            yield from differences(old, value, f"{prefix}{key}.")
        elif value != old:
            yield f"{prefix}{key}", value


def report_evaluation(episodes: dict[str, Array], config: Config, folder: Path) -> dict[str, float]:
    """Print mean, median and interval of every fact of the evaluated episodes; returns them by name."""
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

"""What a finished run tells its user: a summary against known policies, pictures, and where everything is."""

from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

from analysis.episode import record_episode
from analysis.pictures import draw_dag, draw_learning_curve
from envs import make_vec_env
from envs.references import reference_returns
from run import RunResult, Setup
from utils.config import Config
from utils.tracking import read_metrics

REFERENCE_EPISODES = 500
Array = np.ndarray


def interval(values: Array) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, 5,000 resamples, always the same ones."""
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    result = bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(0))
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def references(config: Config) -> dict[str, float]:
    """What scripted policies earn in the configured environment; empty where it knows none."""
    if config.runner != "vector":
        return {}
    env = make_vec_env(config, REFERENCE_EPISODES, "reference")
    return reference_returns(env, seed=0)


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
    if config.mac == "dag_controller" and config.runner == "vector":
        episode = record_episode(config, setup.mac, result.t_env)
        pictures.append(draw_dag(episode, setup.info, folder / "dag.png"))
    print(f"Run:      {folder}")
    for picture in pictures:
        print(f"Picture:  {picture}")
    if config.save_model or result.signum:
        command = f"python src/main.py --config={config.name} --env-config={folder.parent.name}"
        print(f"Go on:    {command} with checkpoint_path={folder} t_max=...")
        print(f"Evaluate: {command} with checkpoint_path={folder} evaluate=True")
    return pictures


def report_evaluation(episodes: dict[str, Array], config: Config, folder: Path) -> dict[str, float]:
    """Print mean, median and interval of every fact of the evaluated episodes; returns them by name."""
    n_episodes = len(episodes["return"])
    summary: dict[str, float] = {}
    print(f"\n{n_episodes} episodes, {'greedy' if config.test_greedy else 'sampled'} policy")
    print(f"{'':<16} {'mean':>10} {'median':>10}   95 % interval of the mean (bootstrap over episodes)")
    for name, values in episodes.items():
        low, high = interval(values)
        summary |= {f"test_{name}_mean": float(values.mean()), f"test_{name}_median": float(np.median(values))}
        summary |= {f"test_{name}_low": low, f"test_{name}_high": high}
        print(f"{name:<16} {values.mean():>10.3f} {np.median(values):>10.3f}   [{low:.3f}, {high:.3f}]")
    print(f"Run: {folder}")
    return summary

"""The library interface: what a notebook or a script needs, in ten names, all of them importable from bn_mappo itself.

import bn_mappo

config = bn_mappo.load_config("bn_mappo", "aloha", "t_max=20000", "seed=3")
run = bn_mappo.train(config)
print(run.rows[-1]["test_return_mean"], bn_mappo.evaluate(run, n_episodes=200)["return"].mean())
bn_mappo.draw_dag(run, "dag.png")
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from bn_mappo.config.loading import check_keys, default_values, load_layers, load_preset, merge, overlay, preset_names
from bn_mappo.config.schema import Config, claimed, validate
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.core.plugins import load_plugins
from bn_mappo.core.registry import register
from bn_mappo.core.specs import Array
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.envs.registry import env_layer, fill_env_args, make_vec_env
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.tracking.files import write_json
from bn_mappo.tracking.metrics import MetricLog
from bn_mappo.training.build import build
from bn_mappo.training.evaluator import StepObserver
from bn_mappo.training.evaluator import evaluate as play_episodes
from bn_mappo.training.tester import Tester
from bn_mappo.training.trained import Run, load_run
from bn_mappo.training.trainer import Callback
from bn_mappo.training.trainer import train as run_training

__all__ = [
    "Callback",
    "build",
    "draw_dag",
    "evaluate",
    "load_config",
    "load_run",
    "make_env",
    "register",
    "sample_dag",
    "train",
]


class SampledDAG(NamedTuple):
    """The DAGs of one step of B games."""

    adjacency: Array  # [B, N, N]; [b, j, i] == 1: j is a parent of i
    order: Array  # [B, N]; order[b, k] is the agent that acts k-th
    obs: Array  # [B, N, D] what the agents saw


def load_config(config: str, env_config: str, *settings: str) -> Config:
    """The configuration of the command line --config=... --env-config=... with SETTINGS.

    A setting is KEY=VALUE, such as "dag.generator=full", or the name of a preset, such as "paper". An environment that
    was registered without a YAML file takes the defaults. A mistake raises ConfigError.
    """
    load_plugins([])
    layers = load_layers(config, env_config, env_layer(env_config))
    words = [word for word in settings if "=" in word]
    given: Any = OmegaConf.to_container(OmegaConf.from_dotlist(words))
    for name in (word for word in settings if "=" not in word):
        if name not in preset_names(env_config):
            raise unknown(f"preset of {env_config} (nor KEY=VALUE)", name, preset_names(env_config))
        layers = merge(layers, load_preset(name, env_config, layers, given))
    check_keys(given, merge(claimed(Config, merge(layers, given)), default_values()), "load_config")
    values = overlay(layers, given)
    values["env_args"] = fill_env_args(values["env"], values["env_args"])
    return validate(settle(values).values)


def _check_config(config: Config) -> None:
    if not isinstance(config, Config):
        raise ConfigError(f"{config!r} is no configuration: load_config(CONFIG, ENV_CONFIG, ...) makes one")


def make_env(config: Config, n_games: int = 1) -> VecEnv:
    """n_games games of the configured environment, stepped together; close() it when you are done."""
    _check_config(config)
    return make_vec_env(config, n_games, "library")


def train(config: Config, callbacks: Sequence[Callback] = (), folder: str | Path | None = None) -> Run:
    """Train in this process, with progress, and keep configuration, metrics and checkpoints in a folder.

    The folder must be new; default: results/library/NAME/ENV/TIME. `callbacks` are called after every update. Ctrl-C
    ends the training with a checkpoint; the run so far is returned.
    """
    _check_config(config)
    path = Path(folder) if folder is not None else default_folder(config)
    if path.exists() and any(path.iterdir()):
        raise ConfigError(f"{path} is not empty: each run needs a folder of its own")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "config.json", config.values())
    setup, log = build(config), MetricLog(path)
    try:
        result = run_training(config, setup, log, path, callbacks)
    finally:
        log.close()
    return Run(config, setup, result.t_env, path)


def default_folder(config: Config) -> Path:
    """A new folder for a run that is not given one."""
    time = datetime.now().strftime("%Y%m%d_%H%M%S_%f")
    return Path(config.local_results_path) / "library" / config.name / config.env / time


def _opened(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else load_run(run)


def evaluate(
    run: Run | str | Path,
    n_episodes: int | None = None,
    greedy: bool | None = None,
    observer: StepObserver | None = None,
) -> dict[str, Array]:
    """Play episodes with the policy of a run; `return`, `ep_length` and the environment's facts of each, [n_episodes].

    `run`: a Run, or the folder of one. Default: test_nepisode episodes, greedy as test_greedy says. The same call gives
    the same episodes.
    """
    run = _opened(run)
    config = run.config
    if n_episodes is not None and n_episodes < 1:
        raise ConfigError(f"n_episodes={n_episodes}: give at least 1")
    tester = Tester(config, run.setup.mac)
    try:
        greedy = config.test_greedy if greedy is None else greedy
        n_episodes = config.test_nepisode if n_episodes is None else n_episodes
        env, clock = tester.make_env(), run.clock
        return play_episodes(env, tester.mac, n_episodes, config.seed, clock.t_env, greedy, clock.fraction, observer)
    finally:
        tester.close()


def sample_dag(run: Run | str | Path, n_games: int = 1, greedy: bool = False, seed: int = 0) -> SampledDAG:
    """The DAGs along which the agents would act at the first step of n_games episodes; greedy: without noise."""
    run = _opened(run)
    mac = run.setup.mac
    if not isinstance(mac, DAGMAC):
        raise ConfigError(f"{run.config.name}: its agents act along no DAG (mac={run.config.mac.name})")
    env = make_env(run.config, n_games)
    try:
        observation = env.reset(seed)
    finally:
        env.close()
    device = mac.agent_ids.device
    obs, state = (torch.from_numpy(value).to(device) for value in (observation.obs, observation.state))
    generator = torch.Generator(device).manual_seed(seed)
    scale = mac.noise_scale(run.clock.fraction)
    is_quiet = greedy and not mac.dag.is_random
    noise = None if is_quiet else mac.dag.draw_noise(n_games, scale, generator)
    with torch.no_grad():
        dag = mac.generate(obs, state, noise or None, run.clock.fraction)
    return SampledDAG(dag.adjacency.cpu().numpy(), dag.order.cpu().numpy(), observation.obs)


def draw_dag(run: Run | str | Path, path: str | Path) -> Path:
    """Draw the DAG of a run as a picture: how often each edge is there over a greedy episode, and one step of it."""
    from bn_mappo.analysis.episode import record_episode
    from bn_mappo.analysis.pictures import draw_dag as draw

    run = _opened(run)
    if not isinstance(run.setup.mac, DAGMAC):
        raise ConfigError(f"{run.config.name}: its agents act along no DAG (mac={run.config.mac.name})")
    episode = record_episode(run.config, run.setup.mac, run.t_env)
    return draw(episode, run.setup.info, Path(path))

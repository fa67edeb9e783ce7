"""Games that exported teams are judged by: those of the run's own configuration."""

from dataclasses import replace
from typing import Any

from bn_mappo.config.loading import default_values, merge, overlay
from bn_mappo.config.schema import Config, validate
from bn_mappo.core.plugins import load_plugins
from bn_mappo.core.specs import Array
from bn_mappo.envs.registry import is_batched, make_vec_env
from bn_mappo.training.acting import Player
from bn_mappo.training.evaluator import StepObserver, evaluate

MOST_AT_ONCE = 50  # games on arrays


def exported_config(about: dict[str, Any]) -> Config:
    """The configuration of the run that a folder was exported from (team.json)."""
    load_plugins(about["config"].get("plugins", []))
    own = {
        "checkpoint_path": "",
        "evaluate": False,
        "save_replay": False,
        "save_steps": False,
        "device": "cpu",
        "use_cuda": False,
    }
    return validate(merge(overlay(default_values(), about["config"]), own))


def play(
    config: Config,
    player: Player,
    n_games: int,
    t_env: int,
    greedy: bool = True,
    observer: StepObserver | None = None,
    at_once: int = MOST_AT_ONCE,
) -> dict[str, Array]:
    """`return`, `ep_length` and the infos of n_games games, [n_games] each; two players get the same games.

    Games are the same where `at_once`, how many are played at a time, is too.
    """
    if is_batched(config.env):
        config = replace(config, runner="vector")
    else:
        at_once = min(at_once, config.batch_size_run)
    env = make_vec_env(config, min(at_once, n_games), "export")
    try:
        return evaluate(env, player, n_games, config.seed, t_env, greedy, min(t_env / config.t_max, 1.0), observer)
    finally:
        env.close()

"""Films of games as files beside a run, or where the user wants them."""

from pathlib import Path

from bn_mappo.analysis.episode import record_episode
from bn_mappo.config.schema import Config
from bn_mappo.controllers.basic_controller import MAC
from bn_mappo.core.errors import RunError
from bn_mappo.envs.film import Film
from bn_mappo.envs.registry import is_batched
from bn_mappo.envs.vec_env import VecEnv


def save_film(film: Film, folder: Path, name: str) -> Path:
    """The film as a file of that name, numbered where it is taken; RunError where it cannot be written."""
    from bn_mappo.envs.animation import keep  # here, for the plotting library takes seconds to import

    try:
        return keep(folder, name, film.animate)
    except OSError as error:
        raise RunError(f"no animation could be saved in {folder}: {error}") from error


def save_replay(config: Config, mac: MAC, t_env: int, env: VecEnv, folder: Path) -> str | None:
    """The first game of an evaluation as a replay; returns where it is, None: this environment has none.

    Games on arrays are played once more for it, from the same seed; others keep what they have played.
    """
    if not is_batched(config.env):
        return env.save_replay()
    film = record_episode(config, mac, t_env, config.test_greedy, min(t_env / config.t_max, 1.0)).film
    return None if film is None else str(save_film(film, Path(film.replay_dir or folder), film.replay_name))

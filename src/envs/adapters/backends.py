"""StarCraft tasks have two backends, the real game and Skirmish: chosen once, before anything starts, and marked."""

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.program import program
from bn_mappo.envs.adapters.starcraft2 import GAME, StarCraft2
from bn_mappo.envs.adapters.starcraft2_install import describe_game, explain, problems
from bn_mappo.envs.arguments import check_arguments, fill_arguments, keyword_parameters
from bn_mappo.envs.games.skirmish import Skirmish

SIMULATOR = "skirmish"  # as GAME: a key of the environments' registry, and the name of a folder of results


class Settled(NamedTuple):
    """A configuration whose backend is no longer open."""

    values: dict[str, Any]  # env is 'sc2' for the real game alone
    note: str  # one line for the user; empty where the environment has no backends


def settle(values: dict[str, Any], words: Sequence[str] = ()) -> Settled:
    """Choose between the game and Skirmish where env=sc2 (`env_args.backend`); other environments stay as they are.

    What comes out is an ordinary configuration of the one or the other, so nothing later knows of the choice.
    ConfigError where the game is asked for and something of it is missing. It says how to play the same task without
    the game: by the words of the user's command line, where they are given.
    """
    if values.get("env") != GAME:
        return Settled(values, "")
    given = dict(values["env_args"])
    ours = keyword_parameters(StarCraft2)
    checked = check_arguments(GAME, StarCraft2, {name: value for name, value in given.items() if name in ours})
    env_args = fill_arguments(StarCraft2, {**given, **checked})
    if env_args["backend"] == SIMULATOR:
        return _on_skirmish(values, env_args, "env_args.backend=skirmish")
    missing = problems(env_args["map_name"])
    if env_args["backend"] == "auto" and not all(problem.is_map for problem in missing):
        return _on_skirmish(values, env_args, "; ".join(problem.what for problem in missing))
    if missing:
        raise ConfigError(
            f"env_args.backend={env_args['backend']}, but {explain(missing)} The same task without the game, on our "
            f"simulator Skirmish:\n  {command_without_game(values, words)}"
        )
    game = describe_game(env_args["game_version"])
    note = f"backend: real StarCraft II, version {game['game_version']}, in {game['game_folder']}"
    return Settled({**values, "env_args": {**env_args, "backend": GAME}}, note)


def refuse_without_game(layers: dict[str, Any], words: Sequence[str]) -> None:
    """ConfigError where the words of a command line ask for the game and it is not there: known before slow imports.

    Anything that these words leave open is left to `settle`.
    """
    if layers.get("env") != GAME or f"env_args.backend={GAME}" not in words:
        return
    given = dict(
        word.removeprefix("env_args.").split("=", 1) for word in words if word.startswith("env_args.map_name=")
    )
    values = {**layers, "env_args": {**layers["env_args"], **given, "backend": GAME}}
    if any(not problem.is_map for problem in problems(values["env_args"]["map_name"])):
        settle(values, words)


def _on_skirmish(values: dict[str, Any], env_args: dict[str, Any], why: str) -> Settled:
    """The same task on Skirmish, which gets the arguments that it knows, and itself refuses what it cannot honour."""
    known, ours = keyword_parameters(Skirmish), keyword_parameters(StarCraft2)
    is_without_effect = {name for name in env_args if name in ours and name not in known}
    kept = fill_arguments(Skirmish, {n: value for n, value in env_args.items() if n not in is_without_effect})
    changed = [
        f"{name}={env_args[name]!r}"
        for name in sorted(is_without_effect - {"backend"})
        if env_args[name] != ours[name].default
    ]
    note = f"backend: Skirmish, our own simulator, not StarCraft II, whose win rates differ ({why})"
    if changed:
        note += f"; without effect here: {', '.join(changed)}"
    runner = "vector" if values["runner"] == "parallel" else values["runner"]  # games on arrays need no processes
    return Settled({**values, "env": SIMULATOR, "env_args": kept, "runner": runner}, note)


def command_without_game(values: dict[str, Any], words: Sequence[str] = ()) -> str:
    """The words of a command line with env_args.backend=skirmish; without any, a command that does the same task."""
    choice = f"env_args.backend={SIMULATOR}"
    if not words:
        map_name = values["env_args"].get("map_name", "3m")
        names = [f"--config={values.get('name', 'bn_mappo')}", f"--env-config={GAME}"]
        words = [*names, "with", f"env_args.map_name={map_name}"]
    kept = [word for word in words if not word.startswith("env_args.backend=")]
    at = kept.index("with") + 1 if "with" in kept else len(kept)
    return shlex.join([*program().split(), *kept[:at], *([] if "with" in kept else ["with"]), choice, *kept[at:]])

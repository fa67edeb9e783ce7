"""StarCraft tasks have two backends, the real game and Skirmish: chosen once, before anything starts, and marked."""

import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.adapters.starcraft2_install import explain, game_folder, package_version, played_version, problems
from bn_mappo.envs.registry import check_env_args, fill_env_args, keyword_parameters

GAME, SIMULATOR = "sc2", "skirmish"  # keys of the environments' registry, and names of folders of results


class Settled(NamedTuple):
    """A configuration whose backend is no longer open."""

    values: dict[str, Any]  # env is 'sc2' for the real game alone
    note: str  # one line for the user; empty where the environment has no backends


def settle(values: dict[str, Any]) -> Settled:
    """Choose between the game and Skirmish where env=sc2 (`env_args.backend`); other environments stay as they are.

    What comes out is an ordinary configuration of the one or the other, so nothing later knows of the choice.
    ConfigError where the game is asked for and something of it is missing.
    """
    if values.get("env") != GAME:
        return Settled(values, "")
    given = dict(values["env_args"])
    ours = keyword_parameters(GAME)
    checked = check_env_args(GAME, {name: value for name, value in given.items() if name in ours})
    env_args = fill_env_args(GAME, {**given, **checked})
    if env_args["backend"] == SIMULATOR:
        return _on_skirmish(values, env_args, "env_args.backend=skirmish")
    missing = problems(env_args["map_name"])
    if env_args["backend"] == "auto" and not all(problem.is_map for problem in missing):
        return _on_skirmish(values, env_args, "; ".join(problem.what for problem in missing))
    if missing:
        raise ConfigError(
            f"env_args.backend={env_args['backend']}, but {explain(missing)} The same task without the game, on our "
            f"simulator Skirmish:\n  {command_without_game(values)}"
        )
    facts = describe(GAME, env_args)
    note = f"backend: real StarCraft II, version {facts['game_version']}, in {facts['game_folder']}"
    return Settled({**values, "env_args": {**env_args, "backend": GAME}}, note)


def refuse_without_game(layers: dict[str, Any], words: list[str]) -> None:
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
        settle(values)


def _on_skirmish(values: dict[str, Any], env_args: dict[str, Any], why: str) -> Settled:
    """The same task on Skirmish, which gets the arguments that it knows, and itself refuses what it cannot honour."""
    known, ours = keyword_parameters(SIMULATOR), keyword_parameters(GAME)
    is_without_effect = {name for name in env_args if name in ours and name not in known}
    kept = fill_env_args(SIMULATOR, {n: value for n, value in env_args.items() if n not in is_without_effect})
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


def command_without_game(values: dict[str, Any]) -> str:
    """The user's command line with env_args.backend=skirmish; outside main.py one that does the same task."""
    choice = "env_args.backend=skirmish"
    if Path(sys.argv[0]).name != "main.py":
        map_name = values["env_args"].get("map_name", "3m")
        names = ["--config=" + str(values.get("name", "bn_mappo")), "--env-config=sc2"]
        return shlex.join(["python", "src/main.py", *names, "with", choice, f"env_args.map_name={map_name}"])
    words = [word for word in sys.argv[1:] if not word.startswith("env_args.backend=")]
    at = words.index("with") + 1 if "with" in words else len(words)
    return shlex.join(
        ["python", "src/main.py", *words[:at], *([] if "with" in words else ["with"]), choice, *words[at:]]
    )


def describe(env: str, env_args: dict[str, Any]) -> dict[str, str]:
    """What a run records of its backend; empty where the environment has none."""
    if env == SIMULATOR:
        return {"backend": SIMULATOR}
    folder = game_folder()
    if env != GAME or folder is None:
        return {}
    version = played_version(folder, env_args.get("game_version"))
    return {"backend": GAME, "game_version": version, "game_folder": str(folder), "smac_package": package_version()}


def run_metrics(env: str, n_restarts: int) -> dict[str, float]:
    """What a row of metrics tells of the games: whether they are the real ones, and how often one broke down."""
    if env == GAME:
        return {"real_game": 1.0, "sc2_restarts": float(n_restarts)}
    marks = {"real_game": 0.0} if env == SIMULATOR else {}
    return {**marks, "env_restarts": float(n_restarts)} if n_restarts else marks

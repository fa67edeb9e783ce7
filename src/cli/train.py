"""bn-mappo --config=ALG --env-config=ENV with key=value ... -> one recorded run."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from bn_mappo.config.loading import EXAMPLE, config_names, load_layers, preset_names
from bn_mappo.core.errors import ConfigError, fail, unknown
from bn_mappo.core.plugins import load_plugins
from bn_mappo.core.program import program
from bn_mappo.core.secrets import conceal
from bn_mappo.envs.adapters.backends import refuse_without_game
from bn_mappo.envs.registry import env_layer, env_names


class CommandLine(NamedTuple):
    """What is ours of a command line."""

    config: str
    env_config: str
    plugins: list[str]
    rest: list[str]  # Sacred's


def parse(arguments: list[str]) -> CommandLine:
    """Import what --import names, then check the names after --config and --env-config."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--env-config")
    parser.add_argument("--import", dest="plugins", action="append", default=[])
    options, rest = parser.parse_known_args(arguments)
    load_plugins(options.plugins)
    plugins = [str(Path(name).resolve()) if name.endswith(".py") else name for name in options.plugins]
    check_words(rest)
    names = {"--config": config_names("algs"), "--env-config": env_names()}
    for flag, given in (("--config", options.config), ("--env-config", options.env_config)):
        if given is None:
            raise ConfigError(f"{flag}=NAME is missing. Allowed: {', '.join(names[flag])}.\nExample: {EXAMPLE}")
        if given not in names[flag]:
            raise unknown(flag, given, names[flag])
    check_presets(options.env_config, rest)
    return CommandLine(options.config, options.env_config, plugins, rest)


def check_words(rest: list[str]) -> None:
    """ConfigError where settings are given without the word `with`."""
    before = rest[: rest.index("with")] if "with" in rest else rest
    for word, previous in zip(before, ["", *before], strict=False):
        if "=" in word and not word.startswith("-") and not previous.startswith("-"):
            raise ConfigError(f"put the word `with` before the settings: ... with {word}")


def check_presets(env: str, rest: list[str]) -> None:
    """ConfigError where a word after `with` is neither KEY=VALUE, nor a preset of this environment, nor a file."""
    for word in rest[rest.index("with") + 1 :] if "with" in rest else []:
        if word.startswith("-"):
            return
        if "=" not in word and word not in preset_names(env) and not Path(word).is_file():
            raise unknown(f"preset of {env} (nor KEY=VALUE, nor a file)", word, preset_names(env))


def unknown_flag(rest: list[str]) -> ConfigError | None:
    """The error for the first --flag that neither we nor Sacred know; None where there is none."""
    from sacred.experiment import gather_command_line_options

    known = ["--config", "--env-config", "--import", *(option.get_flag() for option in gather_command_line_options())]
    for word in rest[: rest.index("with")] if "with" in rest else rest:
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            hint = "Settings stand behind the word `with`, as KEY=VALUE."
            return ConfigError(f"{unknown('option', flag, known)}\n{hint}")
    return None


@contextmanager
def silenced_unless_first() -> Iterator[None]:
    """Of several processes that train together, the first one tells how it goes."""
    from bn_mappo.core.ranks import rank

    if rank() == 0:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


def main(arguments: list[str]) -> int:
    """Run the command line; its exit status: 2 for a mistake, 1 if the run failed, 3 if its games failed too often."""
    arguments = [conceal(argument) for argument in arguments]
    if arguments and arguments[0] in ("-h", "--help", "help", "list"):
        from bn_mappo.cli.listing import HELP, listing

        if arguments[0] != "list":
            print(HELP)
            return 0
        parser = argparse.ArgumentParser(prog=program("list"), description="All names, a line each.")
        parser.add_argument("--import", dest="plugins", action="append", default=[], help="a module or file first")
        try:
            load_plugins(parser.parse_args(arguments[1:]).plugins)
        except ConfigError as error:
            fail(error, 2)
        print(listing())
        return 0
    try:
        alg, env, plugins, rest = parse(arguments)
        layers = {**load_layers(alg, env, env_layer(env)), "plugins": plugins}
        refuse_without_game(layers, arguments)
        from bn_mappo.cli.experiment import make_experiment  # here, for it takes a while

        experiment = make_experiment(alg, env, layers, arguments)
    except ConfigError as error:
        fail(error, 2)
    try:
        with silenced_unless_first():
            experiment.run_commandline([sys.argv[0], *rest])
    except KeyboardInterrupt as interrupt:
        sys.exit(128 + (interrupt.args[0] if interrupt.args else 2))
    except SystemExit as stop:
        if isinstance(stop.code, str):  # the usage text of Sacred's command line
            fail(unknown_flag(rest) or ConfigError(stop.code), 2)
        if stop.code == 1 and experiment.current_run is None:  # Sacred met the mistake, and has printed it
            sys.exit(2)
        raise
    return 0

"""How YAML files, presets and the command line are laid over one another."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from bn_mappo.config.reading import load_yaml
from bn_mappo.config.schema import Config, claimed, prune, used_values
from bn_mappo.core.errors import ConfigError, nearest, unknown
from bn_mappo.core.program import program

CONFIG_DIR = Path(__file__).parent
EXAMPLE = f"{program()} --config=bn_mappo --env-config=aloha with t_max=200000 seed=3"
NAMES = (
    "mac",
    "learner",
    "agent",
    "mixer",
    "critic_type",
    "dag.generator",
)  # keys that choose parts, so which keys there are


def config_names(kind: str) -> list[str]:
    """The names that --config (algs) or --env-config (envs) take."""
    return sorted(path.stem for path in (CONFIG_DIR / kind).glob("*.yaml"))


def preset_names(env: str) -> list[str]:
    """The presets that this environment has: presets/NAME/ENV.yaml."""
    return sorted(path.parent.name for path in (CONFIG_DIR / "presets").glob(f"*/{env}.yaml"))


def load_preset(name: str, env: str, layers: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What `with NAME` lays over the layers, below what is given on the command line; keys without effect left out.

    Of the preset's `cases` those apply whose `when` (keys with dots, and their values) holds for the run.
    """
    values = merge(layers, given)
    preset, source = load_yaml(CONFIG_DIR / "presets" / name / f"{env}.yaml"), f"src/config/presets/{name}/{env}.yaml"
    cases, allowed = preset.pop("cases", []), default_values()
    check_keys(preset, allowed, source)
    for case in cases:
        when = case.pop("when")
        check_keys(case, allowed, source)
        if all(select(values, key) == value for key, value in when.items()):
            preset = merge(preset, case)
    return prune(preset, claimed(Config, merge(values, given_names(preset), given_names(given))))


def default_values() -> dict[str, Any]:
    """default.yaml, which has every key of this package."""
    return load_yaml(CONFIG_DIR / "default.yaml")


def load_layers(alg: str, env: str, of_env: dict[str, Any] | None = None) -> dict[str, Any]:
    """default.yaml, overridden by envs/<env>.yaml and then by algs/<alg>.yaml; neither may bring a key of its own.

    It has the keys of all parts there are; `used_values` leaves those of the parts that are chosen. `of_env` takes the
    place of the file of an environment that has none.
    """
    default = default_values()
    layers = [default]
    for option, kind, name in (("--env-config", "envs", env), ("--config", "algs", alg)):
        if kind == "envs" and of_env is not None:
            layers.append(of_env)
            continue
        if name not in config_names(kind):
            raise unknown(option, name, config_names(kind))
        layers.append(load_yaml(CONFIG_DIR / kind / f"{name}.yaml"))
        check_keys(layers[-1], default, source=f"src/config/{kind}/{name}.yaml")
    return merge(*layers, {"name": alg})


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over one another, as new ones; later ones win key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(below, dict) and isinstance(value, dict):
                merged[key] = merge(below, value)
            else:
                merged[key] = deepcopy(value)
    return merged


def select(values: dict[str, Any], key: str) -> Any:
    """The value of a key with dots in nested dictionaries; None where there is none."""
    found: Any = values
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def overlay(layers: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The values of a run: of the layers what it uses under the names that it chooses, and all that is given."""
    return merge(used_values(merge(layers, given_names(given))), given)


def given_names(given: dict[str, Any]) -> dict[str, Any]:
    """Of given values those that choose parts."""
    chosen: dict[str, Any] = {}
    for key in NAMES:
        value = select(given, key)
        if value is not None:
            for name in reversed(key.split(".")):
                value = {name: value}
            chosen = merge(chosen, value)
    return chosen


def check_keys(given: dict[str, Any], allowed: dict[str, Any], source: str, prefix: str = "") -> None:
    """Refuse keys that are not allowed; env_args are checked against the environment, schedules by their type."""
    for key, value in given.items():
        if key not in allowed:
            raise ConfigError(f"{source}: there is no key '{prefix}{key}'.{nearest(key, allowed)}")
        below = allowed[key]
        if isinstance(below, dict) and key != "env_args" and "until" not in below:
            if not isinstance(value, dict):
                example = f"{prefix}{key}.{next(iter(below))}"
                raise ConfigError(f"{source}: '{prefix}{key}' is a section; set its keys, such as {example}=...")
            check_keys(value, below, source, f"{prefix}{key}.")

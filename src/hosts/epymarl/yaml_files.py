"""The YAML files that the host gets: our keys with our defaults and comments. Needs PyYAML, which every host has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml

from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.declared import hints, options_of
from bn_mappo.core.schedules import ScheduleLimits
from bn_mappo.hosts.epymarl.config import LEARNER, MAC, option_names
from bn_mappo.learners.bn_mappo import BNMAPPOLearner
from bn_mappo.modules.dag.generators import REGISTRY as GENERATORS

CONFIG = Path(__file__).parents[2] / "config"
SETTINGS = Path(__file__).parent / "settings.yaml"
MARK = "# Written by bn_mappo's plug-in, whose --remove deletes this file: keep your own settings under another name."
HEAD = """{mark}
# Sacred takes no section in a number's place, so a schedule among the keys below is a number or the text
# start:end:until, as in lr=0.001:0.0001:0.8, and in the sections `dag` and `annealing` a number or a section.
"""
RAMP = {"start": 0.0, "end": 0.0, "begin": 0.0, "until": 1.0, "kind": "linear", "steps": None}
COMMENT_COLUMN = 28
Comments = dict[str, list[str]]
SECTIONS = {
    "dag": hints(hints(DAGMAC.Options)["dag"]),
    "annealing": hints(hints(BNMAPPOLearner.Options)["annealing"]),
}


def host_yamls() -> dict[str, str]:
    """Text of every algorithm that the host gets, by its name: those that act along a DAG and learn it."""
    texts = {}
    for path in sorted((CONFIG / "algs").glob("*.yaml")):
        own = read_yaml(path)
        if (own.get("mac"), own.get("learner")) == (MAC, LEARNER):
            texts[path.stem] = host_yaml(path.stem, own)
    return texts


def host_yaml(name: str, own: dict[str, Any]) -> str:
    """The YAML of one algorithm whose file has the keys `own`."""
    settings = read_yaml(SETTINGS)
    values = lay_over(read_yaml(CONFIG / "default.yaml"), own, settings["overrides"])
    comments = read_comments((CONFIG / "default.yaml").read_text(encoding="utf-8"))
    of_host = {key.partition(".")[2]: words for key, words in read_comments(SETTINGS.read_text("utf-8")).items()}
    tops = [key for key, there in option_names().items() if key == there and not isinstance(values[key], dict)]
    sections = {"dag": keys_of_dag(), "annealing": list(SECTIONS["annealing"])}
    lines = [HEAD.format(mark=MARK)]
    for part in ({"name": name, "mac": MAC, "learner": LEARNER}, settings["run"], settings["adapter"]):
        lines += [line for key, value in part.items() for line in entry(key, value, of_host)]
    lines += ["", *(line for key in tops for line in entry(key, values[key], comments))]
    for section, keys in sections.items():
        lines += ["", f"{section}:"]
        for key in keys:
            lines += entry(key, as_host_has_it(section, key, values[section][key]), comments, f"{section}.")
    lines += ["", "# read by forks alone"]
    lines += [line for key, value in settings["forks"].items() for line in entry(key, value, {})]
    return "\n".join(lines) + "\n"


def keys_of_dag() -> list[str]:
    """Keys of the section `dag`: those of every generator, for the command line can only change what stands there."""
    of_generators = [hints(options_of(GENERATORS, name)) for name in GENERATORS]
    return list(dict.fromkeys([*SECTIONS["dag"], *(key for keys in of_generators for key in keys)]))


def as_host_has_it(section: str, key: str, value: Any) -> Any:
    """Schedules with all keys that any kind has, so that the command line can change each."""
    markers = map(type, get_args(SECTIONS[section].get(key)))
    if value is None or ScheduleLimits not in markers:
        return value
    return {**RAMP, **value} if isinstance(value, dict) else {**RAMP, "start": float(value), "end": float(value)}


def entry(key: str, value: Any, comments: Comments, prefix: str = "") -> Iterator[str]:
    """The lines of one key, with its comment to the right of a short value, above a long one."""
    indent = "  " * prefix.count(".")
    shown = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).removesuffix("...\n").strip()
    line, words = f"{indent}{key}: {shown}", comments.get(prefix + key, [])
    if isinstance(value, dict):
        yield from (f"{indent}# {text}" for text in words)
        yield line
        return
    yield f"{line:<{COMMENT_COLUMN - 1}} # {words[0]}" if words else line
    yield from (f"{'':<{COMMENT_COLUMN - 1}} # {text}" for text in words[1:])


def read_comments(text: str) -> Comments:
    """The comments behind the keys of a YAML file of ours, by key with dots; lines below the first are its own."""
    comments: Comments = {}
    path: list[str] = []
    for line in text.splitlines():
        key = re.match(r"( *)(\w+):[^#]*(?:# ?(.*))?$", line)
        if key:
            path = [*path[: len(key[1]) // 2], key[2]]
            comments[".".join(path)] = [key[3]] if key[3] else []
        elif path and re.match(r" +# ?", line):
            comments[".".join(path)].append(line.strip().removeprefix("#").removeprefix(" "))
    return {name: lines for name, lines in comments.items() if lines}


def read_yaml(path: Path) -> dict[str, Any]:
    """One file of ours."""
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def lay_over(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over one another; later ones win key by key."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            result[key] = (
                lay_over(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
            )
    return result

"""Command line: default.yaml, then --env-config, then --config, then `with key=value` through Sacred."""

import os
import sys
from collections.abc import Mapping

import numpy as np
import torch as th
import yaml
from run import run
from sacred import SETTINGS, Experiment
from sacred.observers import FileStorageObserver
from utils.logging import get_logger

SETTINGS["CAPTURE_MODE"] = "fd"
HERE = os.path.dirname(os.path.abspath(__file__))
logger = get_logger()
ex = Experiment("pymarl")
ex.logger = logger


@ex.main
def my_main(_run, _config, _log):
    config = plain(_config)
    np.random.seed(config["seed"])
    th.manual_seed(config["seed"])
    config["env_args"]["seed"] = config["seed"]
    run(_run, config, _log)


def plain(value):
    """Sacred's read-only containers as ordinary dicts and lists: sections reach `args` as dicts."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def take_option(params, option, subfolder):
    """Remove `option=NAME` from params; the content of config/subfolder/NAME.yaml. NAME may be an absolute path."""
    given = [param for param in params if param.split("=")[0] == option]
    if not given:
        return {}
    params.remove(given[0])
    return read_yaml(os.path.join(HERE, "config", subfolder, given[0].split("=")[1] + ".yaml"))


def read_yaml(path):
    with open(path) as file:
        return yaml.safe_load(file) or {}


def lay_over(below, above):
    for key, value in above.items():
        below[key] = lay_over(below.get(key, {}), value) if isinstance(value, Mapping) else value
    return below


if __name__ == "__main__":
    th.set_num_threads(1)
    params = list(sys.argv)
    config_dict = read_yaml(os.path.join(HERE, "config", "default.yaml"))
    lay_over(config_dict, take_option(params, "--env-config", "envs"))
    lay_over(config_dict, take_option(params, "--config", "algs"))
    ex.add_config(config_dict)
    results = os.path.join(os.path.dirname(HERE), "results", "sacred", config_dict["name"])
    ex.observers.append(FileStorageObserver(results))
    ex.run_commandline(params)

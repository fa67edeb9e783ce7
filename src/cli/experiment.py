"""A run as a Sacred experiment: its configuration is checked before anything starts, its folder holds all it earns."""

import atexit
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from sacred import SETTINGS, Experiment
from sacred.config.config_dict import ConfigDict
from sacred.run import Run

from bn_mappo.analysis.evaluation_run import evaluate_checkpoint
from bn_mappo.config.loading import (
    CONFIG_DIR,
    NAMES,
    check_keys,
    default_values,
    given_names,
    load_preset,
    merge,
    preset_names,
)
from bn_mappo.config.reading import load_yaml
from bn_mappo.config.schema import Config, claimed, used_values, validate
from bn_mappo.core import ranks
from bn_mappo.core.errors import ConfigError, RunError, fail
from bn_mappo.core.secrets import conceal, mask
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.envs.registry import describe, fill_env_args
from bn_mappo.tracking.files import resumed_key
from bn_mappo.tracking.metrics import MetricLog
from bn_mappo.tracking.mirror import Mirror, address, preflight
from bn_mappo.tracking.run_folder import RunFolder
from bn_mappo.tracking.sinks import check_packages, make_sinks
from bn_mappo.training.build import Setup, build
from bn_mappo.training.trainer import train

SETTINGS.CAPTURE_MODE = "sys"  # the progress display writes past it
SETTINGS.CONFIG.READ_ONLY_CONFIG = False
SETTINGS.HOST_INFO.INCLUDE_GPU_INFO = False  # asks nvidia-smi, slowly


class Preset:
    """A named config of Sacred's that depends on the other settings, those of the command line (`fixed`) included."""

    def __init__(self, name: str, env: str, layers: dict[str, Any]):
        self.name, self.env, self.layers = name, env, layers

    def __call__(self, fixed: Any = None, preset: Any = None, fallback: Any = None) -> Any:
        values = load_preset(self.name, self.env, self.layers, fixed or {})
        return ConfigDict(values)(fixed, preset, fallback)


class Built(NamedTuple):
    """What one command line comes to, made before anything starts and used by the run."""

    config: Config
    setup: Setup


def make_experiment(alg: str, env: str, layers: dict[str, Any], words: Sequence[str]) -> Experiment:
    """The experiment of one command line; Sacred's own commands and flags work on it, presets are its named configs.

    Of the layers it has the keys that the run uses; which these are depends on the words of the command line.
    """
    has_git = shutil.which("git") is not None
    if ranks.rank() > 0:
        logging.getLogger(alg).setLevel(logging.ERROR)
    experiment = Experiment(alg, base_dir=str(Path(__file__).parents[1]), save_git_info=has_git)
    env_args, url = fill_env_args(layers["env"], layers["env_args"]), conceal(str(layers["mongo_url"]))
    layers = merge({**layers, "env_args": env_args, "mongo_url": url}, names_in(words, env))
    experiment.add_config(used_values(layers))
    built: list[Built] = []
    for name in preset_names(env):
        experiment.named_configs[name] = Preset(name, env, layers)

    @experiment.option_hook
    def trust_our_checks(options: dict[str, Any]) -> None:
        options["--force"] = True  # leave out Sacred's warnings about new keys and changed types

    @experiment.config_hook
    def check(config: dict[str, Any], command_name: str, logger: Any) -> dict[str, Any]:
        try:
            check_keys(config, merge(claimed(Config, config), default_values()), "command line")
            settled = settle(config, words)
            if settled.note:
                print(settled.note)
            checked = validate(settled.values)
            if mask(checked.mongo_url) != checked.mongo_url:  # from `with FILE`: Sacred would record it as it is
                raise ConfigError(
                    "mongo_url in a file after 'with' has a password, which would be recorded: set MONGO_URL"
                )
            setup = build(checked)
            built.append(Built(checked, setup))
            check_packages(checked)
            url = address(checked)
            answers = preflight(checked, url) if url and command_name == "run" else False
        except ConfigError as error:
            fail(error, 2)
        # a run on Skirmish lies with those of --env-config=skirmish, whatever it was called by
        name = env if checked.env == layers["env"] else checked.env
        folder = Path(checked.local_results_path) / "sacred" / alg / name
        try:
            if command_name == "run":
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(ConfigError(f"local_results_path={checked.local_results_path} cannot be written to: {error}"), 2)
        run_folder = RunFolder(folder, copy_sources=False, priority=10)
        run_folder.settled = settled.values if settled.note else None
        if setup.checkpoint_path is not None and not checked.evaluate:
            run_folder.continues = resumed_key(setup.checkpoint_path)
        if ranks.rank() > 0:  # rank 0 keeps the record
            return {}
        experiment.observers += [run_folder, Mirror(url, run_folder, answers)] if url else [run_folder]
        return {}

    @experiment.main
    def run(_run: Run, _config: dict[str, Any]) -> Any:
        return execute(built[-1], _run)

    return experiment


def names_in(words: Sequence[str], env: str) -> dict[str, Any]:
    """Of the words of a command line, what chooses parts: mac=..., learner=..., presets and files after `with`."""
    names: dict[str, Any] = {}
    settings = words[words.index("with") + 1 :] if "with" in words else []
    for preset in (word for word in settings if word in preset_names(env)):
        names = merge(names, given_names(load_yaml(CONFIG_DIR / "presets" / preset / f"{env}.yaml")))
    for word in settings:
        if Path(word).is_file():
            names = merge(names, given_names(load_yaml(Path(word))))
        elif word.partition("=")[0] in NAMES and "=" in word:
            given: Any = OmegaConf.to_container(OmegaConf.from_dotlist([word]))
            names = merge(names, given)
    return names


def execute(built: Built, sacred_run: Run) -> dict[str, float]:
    """Train or evaluate, then report; what it returns is the run's result in Sacred."""
    config, setup = built
    from bn_mappo.analysis.report import (  # here, for the plotting library takes seconds to import
        report_evaluation,
        report_training,
    )

    observer = next((o for o in sacred_run.observers if isinstance(o, RunFolder)), None)  # none with Sacred's -u
    folder = observer.path if observer else Path(tempfile.mkdtemp(prefix="unobserved_run_"))
    if ranks.rank() > 0:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log = MetricLog(folder, make_sinks(config, folder, sacred_run.log_scalar))
    if about := describe(config.env, config.env_args):
        sacred_run.info["environment"] = about
    try:
        if ranks.rank() > 0:
            return {} if config.evaluate else train(config, setup, log, folder).test
        if config.evaluate:
            return report_evaluation(evaluate_checkpoint(config, setup, folder), config, folder)
        result = train(config, setup, log, folder)
        pictures = report_training(config, setup, result, folder)
    except RunError as error:
        has_state = any((folder / "checkpoints").glob("*"))
        state = f"The last good state is in {folder}" if has_state else f"No checkpoint was written; the run: {folder}"
        print(f"error: {error}\n{state}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error
    finally:
        log.close()
    for picture in pictures:
        sacred_run.add_artifact(str(picture))
    if result.signum is not None:
        raise KeyboardInterrupt(result.signum)
    return result.test

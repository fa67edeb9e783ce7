"""A run as a Sacred experiment: its configuration is checked before anything starts, its folder holds all it earns."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from sacred import SETTINGS, Experiment
from sacred.observers import FileStorageObserver
from sacred.run import Run

from envs import fill_env_args
from run import build, evaluate_checkpoint, train
from utils.config import Config, check_keys, validate
from utils.errors import ConfigError, RunError, fail
from utils.tracking import MetricLog

SETTINGS.CAPTURE_MODE = "sys"  # the progress display writes past it
SETTINGS.CONFIG.READ_ONLY_CONFIG = False
SETTINGS.HOST_INFO.INCLUDE_GPU_INFO = False  # asks nvidia-smi, slowly


class RunFolder(FileStorageObserver):
    """Sacred's file storage, always on, with a number of its own whatever other observers call the run."""

    def started_event(self, *args: Any, **kwargs: Any) -> Any:
        return super().started_event(*args, **{**kwargs, "_id": None})


def make_experiment(alg: str, env: str, layers: dict[str, Any]) -> Experiment:
    """The experiment of one command line; Sacred's own commands and flags work on it."""
    has_git = shutil.which("git") is not None
    experiment = Experiment(alg, base_dir=str(Path(__file__).parent), save_git_info=has_git)
    layers = {**layers, "env_args": fill_env_args(layers["env"], layers["env_args"])}
    experiment.add_config(layers)

    @experiment.option_hook
    def trust_our_checks(options: dict[str, Any]) -> None:
        options["--force"] = True  # leave out Sacred's warnings about new keys and changed types

    @experiment.config_hook
    def check(config: dict[str, Any], command_name: str, logger: Any) -> dict[str, Any]:
        try:
            check_keys(config, layers, "command line")
            checked = validate(config)
            build(checked)
        except ConfigError as error:
            fail(error, 2)
        folder = Path(checked.local_results_path) / "sacred" / alg / env
        experiment.observers.append(RunFolder(folder, copy_sources=False, priority=10))
        return {}

    @experiment.main
    def run(_run: Run, _config: dict[str, Any]) -> Any:
        return execute(validate(_config), _run)

    return experiment


def execute(config: Config, sacred_run: Run) -> dict[str, float]:
    """Train or evaluate, then report; what it returns is the run's result in Sacred."""
    from report import report_evaluation, report_training  # here, for the plotting library takes seconds to import

    observer = next((o for o in sacred_run.observers if isinstance(o, RunFolder)), None)  # none with Sacred's -u
    folder = Path(str(observer.dir)) if observer else Path(tempfile.mkdtemp(prefix="unobserved_run_"))
    log = MetricLog(folder, sacred_run.log_scalar)
    try:
        setup = build(config)
        if config.evaluate:
            return report_evaluation(evaluate_checkpoint(config, setup), config, folder)
        result = train(config, setup, log, folder)
        pictures = report_training(config, setup, result, folder)
    except RunError as error:
        print(f"error: {error}\nThe last good state is in {folder}", file=sys.stderr)
        raise SystemExit(1) from error
    for picture in pictures:
        sacred_run.add_artifact(str(picture))
    if result.signum is not None:
        raise KeyboardInterrupt(result.signum)
    return result.test

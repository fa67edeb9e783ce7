"""Runs of Sacred without training: rows of metrics at a pace, through the recording that every run has."""

import sys
import threading
import time
from pathlib import Path

from sacred import SETTINGS, Experiment

from bn_mappo.tracking.files import run_key
from bn_mappo.tracking.metrics import MetricLog
from bn_mappo.tracking.mirror import Mirror
from bn_mappo.tracking.run_folder import RunFolder
from bn_mappo.tracking.sinks import SacredScalars

SETTINGS.CAPTURE_MODE = "sys"


def record(root, n_rows=20, url="", pace_s=0.0, at=None, continues=None, before=(), config=None, observers=()):
    """A run of n_rows rows of two metrics; `at` {row: action} acts on the world. Returns folder and exit delay."""
    experiment = Experiment("recorded", base_dir=str(Path(__file__).parent), save_git_info=False)
    experiment.add_config({"seed": 1, "name": "toy", "env": "none", "mongo_checkpoints": False, **(config or {})})
    folder = RunFolder(Path(root) / "sacred" / "toy" / "none", copy_sources=False, priority=10)
    folder.continues = continues
    experiment.observers += [*observers, folder, *([Mirror(url, folder)] if url else [])]
    ended = []

    @experiment.main
    def run(_run):
        log = MetricLog(folder.path, [SacredScalars(_run.log_scalar)])
        for row in before:
            log.log(*row)
        for index in range(log.n_rows, n_rows):
            log.log(index, {"test_return_mean": index / 2, "loss": float("nan") if index == 3 else -index})
            (at or {}).get(index, lambda: None)()
            time.sleep(pace_s)
        picture = folder.path / "picture.png"
        picture.write_bytes(bytes(300_000))
        _run.add_artifact(str(picture))
        ended.append(time.monotonic())
        return {"test_return_mean": 1.0}

    experiment.run(options={"--force": True})
    return folder.path, time.monotonic() - ended[0]


def key_of(folder: Path) -> str:
    """The run's key."""
    from bn_mappo.tracking.files import read_json

    return run_key(folder, read_json(folder / "run.json"))


def later(delay_s: float, action) -> None:
    """Act in a while."""
    threading.Timer(delay_s, action).start()


if __name__ == "__main__":  # a run in a process of its own: ROOT ROWS URL PACE
    record(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))

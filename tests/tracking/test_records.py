"""The files of a run: strict, whole, its own, without passwords, and told when the disk is full."""

import errno
import importlib.util
import json
import multiprocessing
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bn_mappo.cli import train
from bn_mappo.core import secrets
from bn_mappo.core.errors import ConfigError
from bn_mappo.tracking.files import is_alive, read_json, write_json
from bn_mappo.tracking.metrics import MetricLog, read_metrics, read_rows
from bn_mappo.tracking.sinks import check_packages
from helpers import MAIN
from tracking.sacred_runs import record

SMALL = [
    "t_max=1280",
    "test_nepisode=2",
    "batch_size_run=8",
    "hidden_dim=16",
    "log_interval=320",
    "save_model_interval=640",
]
CG = ["--config=mappo", "--env-config=coordination_game"]
FOLDER = Path("results/sacred/mappo/coordination_game/1")
FIND_SPEC = importlib.util.find_spec
SECRET = "s3cr3t%2Fwith%3Aodd"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["src/main.py"])
    monkeypatch.setattr(secrets, "_secrets", {})


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_metrics_are_strict_json_whatever_their_type(tmp_path):
    log = MetricLog(tmp_path)
    log.log(np.int64(3), {"a": np.float32(0.5), "b": torch.tensor(2), "c": float("nan"), "d": np.array(1.0), "e": True})
    row = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
    row.pop("time")
    assert row == {"step": 3, "a": 0.5, "b": 2.0, "c": None, "d": 1.0, "e": 1.0}
    write_json(tmp_path / "x.json", {"a": np.float64("inf"), 1: [np.int32(2), (np.arange(2),)]})
    assert read_json(tmp_path / "x.json") == {"a": None, "1": [2, [[0, 1]]]}


def test_all_files_of_a_run_are_strict_json():
    train.main([*CG, "with", *SMALL])
    for path in FOLDER.glob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)
    metrics, rows = read_json(FOLDER / "metrics.json"), read_metrics(FOLDER)
    assert metrics["test_return_mean"]["steps"] == [row["step"] for row in rows if "test_return_mean" in row]
    assert set(metrics["test_return_mean"]) == {"steps", "values", "timestamps"}
    assert not list(FOLDER.glob("*.tmp"))


def one_of_many(root, barrier):
    barrier.wait()
    record(root, 3)


@pytest.mark.slow
def test_eight_runs_that_start_at_once_get_eight_folders(tmp_path):
    context = multiprocessing.get_context("fork")  # eight interpreters would start one after the other
    barrier = context.Barrier(8)
    runs = [context.Process(target=one_of_many, args=(tmp_path, barrier)) for _ in range(8)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
        assert run.exitcode == 0
    folders = sorted((tmp_path / "sacred/toy/none").iterdir())
    assert [folder.name for folder in folders] == [str(number) for number in range(1, 9)]
    assert all(
        len(read_rows(folder)) == 3 and read_json(folder / "run.json")["status"] == "COMPLETED" for folder in folders
    )


def test_the_lock_tells_who_is_alive(tmp_path):
    alive = []

    def look():
        folder = tmp_path / "sacred/toy/none/1"
        alive.append(is_alive(folder, read_json(folder / "run.json")))

    folder, _ = record(tmp_path, 2, at={1: look})
    assert alive == [True] and not is_alive(folder, {})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("mongodb://me:pw@host/db", "mongodb://me:***@host/db"),
        ("mongo_url=mongodb+srv://me:p:w/@x@host/db", "mongo_url=mongodb+srv://me:***@host/db"),
        (
            "mongodb://host/?tlsCertificateKeyFilePassword=abc&w=1",
            "mongodb://host/?tlsCertificateKeyFilePassword=***&w=1",
        ),
        ("mongodb://host:27017/db", "mongodb://host:27017/db"),
        ("t_max=3", "t_max=3"),
    ],
)
def test_masking(given, shown):
    assert secrets.mask(given) == shown == secrets.mask(shown)
    secrets.conceal(given)
    assert secrets.reveal(shown.removeprefix("mongo_url=")) == given.removeprefix("mongo_url=")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["argument", "environment", "file"])
def test_no_password_anywhere(tmp_path, source):
    """Neither in a file, nor in what is printed; the database is not there, so errors are printed too."""
    url = f"mongodb://someone:{SECRET}@127.0.0.1:1/runs"
    arguments = ["use_tensorboard=True", *SMALL]
    if source == "argument":
        arguments.append(f"mongo_url={url}")
    if source == "file":
        (tmp_path / "own.json").write_text(json.dumps({"mongo_url": url}))
        arguments.insert(0, "own.json")
    variables = {**os.environ, **({"MONGO_URL": url} if source == "environment" else {})}
    command = [sys.executable, str(MAIN), *CG, "with", *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, timeout=300)
    if source == "file":  # Sacred records such files as they are
        assert done.returncode == 2 and b"set MONGO_URL" in done.stderr and b"s3cr3t" not in done.stderr
        assert not (tmp_path / "results").exists()
        return
    assert done.returncode == 0, done.stderr
    assert b"MongoDB at mongodb://someone:***@127.0.0.1:1/runs does not answer" in done.stderr
    assert b"MongoDB lacks 5 of 5 rows" in done.stderr and b"sync.py" in done.stderr
    texts = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    texts[Path("stdout")], texts[Path("stderr")] = done.stdout, done.stderr
    assert len(texts) > 8
    for path, text in texts.items():
        assert SECRET.encode() not in text and b"s3cr3t" not in text, path


@pytest.mark.slow
def test_mistakes_about_records_are_met_before_anything_starts(tmp_path, capsys, monkeypatch):
    closed = "mongo_url=mongodb://me:pw@127.0.0.1:1/db"
    for arguments, expected in (
        ([closed, "mongo_required=True"], ["does not answer", "me:***@", "mongo_required=False"]),
        (["mongo_url=http://host"], ["mongo_url='http://host'", "mongodb"]),
        (["mongo_url=mongodb://me:***@host/db"], ["masked"]),
        (["mongo_url=mongodb://h:port/db"], ["no address of a database"]),
        (["mongo_requird=True"], ["'mongo_required'"]),
        (["wandb_mode=on"], ["'offline' or 'online'"]),
    ):
        with pytest.raises(SystemExit) as stop:
            train.main([*CG, "with", *SMALL, *arguments])
        told = capsys.readouterr().err
        assert stop.value.code == 2 and "Traceback" not in told and ":pw@" not in told
        for words in expected:
            assert words in told, told
    for package, argument in (
        ("pymongo", closed),
        ("tensorboard", "use_tensorboard=True"),
        ("wandb", "use_wandb=True"),
    ):
        with monkeypatch.context() as without, pytest.raises(SystemExit) as stop:
            without.setitem(sys.modules, package, None)
            without.setattr("importlib.util.find_spec", lambda name, p=package: None if name == p else FIND_SPEC(name))
            train.main([*CG, "with", *SMALL, argument])
        assert stop.value.code == 2 and f"'{package}' is not installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_the_run_with_a_checkpoint_and_a_clear_error(monkeypatch, capsys):
    log = MetricLog.log

    def full(self, step, values, time_s=None):
        if step >= 640:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        log(self, step, values, time_s)

    monkeypatch.setattr(MetricLog, "log", full)
    with pytest.raises(SystemExit) as stop:
        train.main([*CG, "with", *SMALL])
    told = capsys.readouterr().err
    assert stop.value.code == 1 and "Traceback" not in told
    assert "No space left on device" in told and "The checkpoint of step 640 is saved" in told
    assert (FOLDER / "checkpoints" / "step_640.pt").exists()
    assert read_json(FOLDER / "run.json")["status"] == "FAILED"
    monkeypatch.undo()


@pytest.mark.slow
def test_files_that_may_not_grow_any_more(tmp_path):
    """A real limit of the system: no file beyond 30 kB, so checkpoints fail; what is there stays whole."""
    done = subprocess.run(
        [sys.executable, str(MAIN), *CG, "with", *SMALL, "hidden_dim=64"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "mpl")},
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "cannot write its files" in done.stderr and "File too large" in done.stderr
    assert read_json(FOLDER / "run.json")["status"] == "FAILED"
    assert not list(FOLDER.rglob("*.tmp")) and not list(FOLDER.rglob("*.pt"))
    assert read_rows(FOLDER)


@pytest.mark.slow
def test_tensorboard_and_wandb_get_the_metrics(capsys):
    pytest.importorskip("tensorboard")
    pytest.importorskip("wandb")
    train.main([*CG, "with", *SMALL, "use_tensorboard=True", "use_wandb=True"])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(FOLDER / "tensorboard"))
    events.Reload()
    rows = [row for row in read_metrics(FOLDER) if row.get("test_return_mean") is not None]
    scalars = events.Scalars("test_return_mean")
    assert [(point.step, pytest.approx(point.value, rel=1e-6)) for point in scalars] == [
        (row["step"], row["test_return_mean"]) for row in rows
    ]
    assert list(FOLDER.glob("wandb/offline-run-*/*.wandb")), "offline: nothing was sent"


def test_a_sink_that_fails_is_left_out(tmp_path, capsys):
    class Broken:
        def log(self, step, values):
            raise ConnectionError("gone")

        def close(self):
            raise AssertionError("it has been left out")

    log = MetricLog(tmp_path, [Broken()])
    for step in range(3):
        log.log(step, {"a": 1.0})
    log.close()
    assert capsys.readouterr().err.count("Broken") == 1 and len(read_rows(tmp_path)) == 3


def test_packages_are_asked_for_only_where_they_are_used(monkeypatch):
    from helpers import make_config

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_packages(make_config())
    with pytest.raises(ConfigError):
        check_packages(make_config(use_wandb=True))

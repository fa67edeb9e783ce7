"""What stands in the database: the documents of Sacred's own observer, once each, and how resumed runs go on there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import gridfs
import pytest
from sacred.observers import MongoObserver

from bn_mappo.cli import sync
from bn_mappo.tracking import mirror, mongo
from bn_mappo.tracking.files import read_json
from tracking.sacred_runs import key_of, record

secantus = pytest.importorskip("secantus", reason="secantusdb, the server for tests, is not installed")


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A server in this process."""
    monkeypatch.setattr(mirror, "INTERVAL_S", 0.2)
    with secantus.SecantusDBServer(storage_path=str(tmp_path / "server")) as running:
        yield running.uri.rstrip("/") + "/runs"


def database(url):
    return mongo.open_database(url)


def test_the_documents_are_those_of_sacreds_observer(tmp_path, url):
    """Both observe one run, in two databases."""
    theirs = MongoObserver(url, "theirs", failure_dir=str(tmp_path / "failed"))
    folder, _ = record(tmp_path / "results", 30, url, observers=[theirs])
    ours, other = (database(url).client[name] for name in ("runs", "theirs"))
    left, right = ours["runs"].find_one(), other["runs"].find_one()
    assert set(left) - set(right) == {"key", "folder"} and set(right) <= set(left) | {"_id"}
    for name in ("config", "command", "status", "format", "result", "host", "captured_out"):
        assert left[name] == right[name], name
    assert abs(left["start_time"] - right["start_time"]).total_seconds() < 0.01
    for metric in other["metrics"].find():
        same = ours["metrics"].find_one({"name": metric["name"]})
        assert (same["steps"], same["values"]) == (metric["steps"], metric["values"])
        assert {"name": metric["name"], "id": str(same["_id"])} in left["info"]["metrics"]
    stored = gridfs.GridFS(ours).get(left["artifacts"][0]["file_id"]).read()
    assert stored == (folder / "picture.png").read_bytes()


def test_a_resumed_run_goes_on_in_the_entry_of_the_first(tmp_path, url, capsys):
    """Rows behind the checkpoint are replaced, none is there twice, and syncing the first run later changes nothing."""
    first, _ = record(tmp_path / "results", 30, url)
    before = [(step, {"test_return_mean": step / 2}) for step in range(20)]
    second, _ = record(tmp_path / "results", 25, url, continues=key_of(first), before=before)
    runs = database(url)["runs"]
    assert runs.count_documents({}) == 1
    assert runs.find_one()["folder"] == str(second)
    metric = database(url)["metrics"].find_one({"name": "test_return_mean"})
    assert metric["steps"] == list(range(25))
    assert sync.main(["--results", str(tmp_path / "results"), "--mongo-url", url]) == 0
    assert "1 level, 1 superseded" in capsys.readouterr().out
    third, _ = record(tmp_path / "results", 22, url, continues=key_of(first), before=before)
    assert runs.count_documents({}) == 2, "a second run that goes on from the first gets an entry of its own"
    assert third.name == "3"


@pytest.mark.slow
def test_a_dead_run_is_found_and_marked(tmp_path, url, capsys):
    root = tmp_path / "results"
    command = [sys.executable, "-m", "tracking.sacred_runs", str(root), "1000", url, "0.05"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    runs, deadline = database(url)["runs"], time.monotonic() + 60
    while not runs.find_one({"status": "RUNNING", "config": {"$exists": True}}) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sync.main(["--results", str(root), "--mongo-url", url]) == 0
    assert "1 running" in capsys.readouterr().out
    process.kill()
    process.wait()
    folder = root / "sacred" / "toy" / "none" / "1"
    assert read_json(folder / "run.json")["status"] == "RUNNING"
    assert sync.main(["--results", str(root), "--mongo-url", url]) == 0
    assert "its process had died" in capsys.readouterr().out
    assert read_json(folder / "run.json")["status"] == "DIED"
    assert runs.find_one()["status"] == "PROBABLY_DEAD"
    assert (folder / "metrics.json").exists()


def environment():
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(root / "tests")}


@pytest.mark.slow
def test_long_metrics_are_thinned(tmp_path, url, monkeypatch, capsys):
    """A browser draws some thousand points; the files keep all."""
    monkeypatch.setattr(mongo, "POINTS", 50)
    monkeypatch.setattr(mongo, "CHUNK_ROWS", 30)
    folder, _ = record(tmp_path / "results", 450, url, 0.002)
    assert sync.main([str(folder), "--mongo-url", url]) == 0
    metric = database(url)["metrics"].find_one({"name": "test_return_mean"})
    assert metric["steps"] == list(range(0, 450, metric["stride"])) and metric["stride"] in (8, 16)
    capsys.readouterr()
    assert sync.main([str(folder), "--mongo-url", url]) == 0
    assert "1 level" in capsys.readouterr().out


def test_what_mongodb_cannot_hold_does_not_stop_the_mirror(tmp_path, url):
    record(tmp_path / "results", 5, url, config={"huge": 2**80, "none": None, "nan": float("nan")})
    config = database(url)["runs"].find_one()["config"]
    assert config["huge"] == str(2**80) and config["nan"] is None


def test_checkpoints_by_choice(tmp_path, url):
    def checkpoint():
        path = tmp_path / "results/sacred/toy/none/1/checkpoints/step_3.pt"
        path.parent.mkdir()
        path.write_bytes(b"weights")

    record(tmp_path / "results", 6, url, at={3: checkpoint}, config={"mongo_checkpoints": True})
    names = {artifact["name"] for artifact in database(url)["runs"].find_one()["artifacts"]}
    assert names == {"picture.png", "checkpoints/step_3.pt"}


@pytest.mark.parametrize(
    "content", [pytest.param("", marks=pytest.mark.slow), "{", pytest.param("[]", marks=pytest.mark.slow)]
)
def test_a_broken_folder_is_told_and_the_others_are_sent(tmp_path, url, capsys, content):
    for _ in range(2):
        record(tmp_path / "results", 5)
    (tmp_path / "results/sacred/toy/none/1/run.json").write_text(content)
    assert sync.main(["--results", str(tmp_path / "results"), "--mongo-url", url]) == 1
    assert "1 sent, 1 unreadable" in capsys.readouterr().out


@pytest.mark.slow
def test_wrong_options_of_sync(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    closed = "mongodb://someone:hidden@127.0.0.1:1/runs"
    for arguments, expected in (
        ([], ["no address", "MONGO_URL"]),
        (["--mongo-url", "mongo://host"], ["no address of a database", "mongodb://"]),
        (["--mongo-url", closed], ["does not answer", "someone:***@"]),
        (["nowhere", "--mongo-url", closed], ["no run 'nowhere'"]),
    ):
        with pytest.raises(SystemExit) as stop:
            sync.main(arguments)
        told = capsys.readouterr().err
        assert stop.value.code == 2 and "hidden" not in told and "Traceback" not in told
        for words in expected:
            assert words in told
    assert {path.name for path in tmp_path.iterdir()} <= {"server"}

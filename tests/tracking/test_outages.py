"""A database that is down, dies, freezes or comes back costs no run its data, its speed, or more than ten seconds."""

import pytest

from bn_mappo.cli import sync
from bn_mappo.tracking import mirror, mongo
from bn_mappo.tracking.metrics import read_rows
from tracking.sacred_runs import record
from tracking.server import server  # noqa: F401  a fixture

ROWS, PACE_S = 40, 0.1
LONGEST_EXIT_S = 10.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Rounds every quarter of a second, and shorter waits, so that an outage fits into a test."""
    monkeypatch.setattr(mirror, "INTERVAL_S", 0.25)
    monkeypatch.setattr(mirror, "END_TIMEOUT_S", 4.0)
    monkeypatch.setattr(mongo, "TIMEOUT_MS", 1000)
    monkeypatch.setattr(mongo, "ANSWER_TIMEOUT_MS", 1000)


def arrived(server) -> int:  # noqa: F811
    """Points of the metric that the database has; no point twice."""
    metric = server.database()["metrics"].find_one({"name": "test_return_mean"})
    steps = metric["steps"] if metric else []
    assert steps == list(range(len(steps)))
    assert not metric or metric["values"] == [step / 2 for step in steps]
    return len(steps)


def level(server, folder, capsys) -> None:  # noqa: F811
    """sync.py brings everything that is missing, and the second time nothing."""
    assert sync.main([str(folder), "--mongo-url", server.url]) == 0
    assert arrived(server) == ROWS
    run = server.database()["runs"].find_one()
    assert run["status"] == "COMPLETED" and len(run["artifacts"]) == 1
    capsys.readouterr()
    assert sync.main([str(folder), "--mongo-url", server.url]) == 0
    assert "1 level" in capsys.readouterr().out
    assert server.database()["runs"].count_documents({}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "actions", "complete"),
    [
        ("there throughout", {}, True),
        ("down at the start, never there", {}, False),
        ("down at the start, comes", {15: "start"}, True),
        ("dies, comes back", {10: "kill", 20: "start"}, True),
        ("dies, never back", {20: "kill"}, False),
        ("frozen, goes on", {10: "freeze", 25: "thaw"}, True),
        ("frozen until the end", {20: "freeze"}, False),
    ],
)
def test_an_outage(tmp_path, server, capsys, case, actions, complete):  # noqa: F811
    if not case.startswith("down at the start"):
        server.start()
    at = {row: getattr(server, name) for row, name in actions.items()}
    folder, delay = record(tmp_path / "results", ROWS, server.url, PACE_S, at)
    told = capsys.readouterr().err
    assert delay < LONGEST_EXIT_S
    assert len(read_rows(folder)) == ROWS, "the files are complete in every case"
    assert ("MongoDB lacks" in told) != complete, told
    if "freeze" in actions.values() and not complete:
        server.thaw()
    elif not complete:
        server.start()
    n = arrived(server)
    assert n == ROWS if complete else n < ROWS
    level(server, folder, capsys)
    print(f"{case}: {n} of {ROWS} arrived, exit delayed by {delay:.1f} s")


@pytest.mark.slow
def test_an_answer_that_is_lost_adds_nothing_twice(tmp_path, server, capsys, monkeypatch):  # noqa: F811
    """The message arrived, its answer did not: it is sent again."""
    from pymongo.collection import Collection
    from pymongo.errors import NetworkTimeout

    server.start()
    bulk_write, calls = Collection.bulk_write, []

    def lossy(self, *args, **kwargs):
        result = bulk_write(self, *args, **kwargs)
        calls.append(result)
        if len(calls) % 2:
            raise NetworkTimeout("the answer is lost")
        return result

    monkeypatch.setattr(Collection, "bulk_write", lossy)
    folder, _ = record(tmp_path / "results", ROWS, server.url, 0.05)
    monkeypatch.undo()
    level(server, folder, capsys)
    assert len(calls) > 2

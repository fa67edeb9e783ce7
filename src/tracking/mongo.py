"""The database that mirrors runs: where it is, whether it answers, and how a run's folder gets into it."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.secrets import MASK, mask
from bn_mappo.tracking.files import DIED, read_json, run_key, utc
from bn_mappo.tracking.metrics import METRICS_FILE, Row, rows_with_positions

if TYPE_CHECKING:
    from pymongo import UpdateOne
    from pymongo.database import Database

TIMEOUT_MS = 3_000  # to find the server, and to connect
ANSWER_TIMEOUT_MS = 10_000
CHUNK_ROWS = 500  # rows of metrics in one message
POINTS = 10_000  # of one metric in the database, at most twice as many; longer ones are thinned evenly
LONGEST_OUTPUT = 1_000_000  # characters of stdout; a document holds 16 MB
FORMAT = "MongoObserver-0.7.0"  # the documents are those of Sacred's own observer, for Omniboard reads these
COLUMN_COLLECTION = "omniboard.metric.columns"  # Omniboard's list shows every setting, and these metrics
COLUMNS = {"return": "test_return_mean", "won": "test_battle_won_mean", "density": "dag_density"}


def open_database(url: str) -> "Database[dict[str, Any]]":
    """The database of an address, named sacred where the address names none; asks nothing. ConfigError if it is bad."""
    try:
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError
    except ImportError:
        raise ConfigError(
            "mongo_url is set, and the package 'pymongo' is not installed.\n"
            "Install it (python -m pip install -r requirements.txt), or leave mongo_url and MONGO_URL empty."
        ) from None
    if f":{MASK}@" in url:
        raise ConfigError(
            f"mongo_url={url}: its password is masked; give the address with its password, or set MONGO_URL"
        )
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            url,
            serverSelectionTimeoutMS=TIMEOUT_MS,
            connectTimeoutMS=TIMEOUT_MS,
            socketTimeoutMS=ANSWER_TIMEOUT_MS,
            retryWrites=False,  # what is sent twice changes nothing, and the next round sends it again
            retryReads=False,
        )
        return client.get_default_database("sacred")
    except (PyMongoError, ValueError) as error:
        example = "mongodb://user:password@host:27017/database"
        raise ConfigError(
            f"mongo_url={mask(url)} is no address of a database: {mask(str(error))}\nSuch as {example}"
        ) from None


def ask(database: "Database[dict[str, Any]]") -> str | None:
    """None if the database answers within 3 s and lets itself be read, else why not."""
    import pymongo
    from pymongo.errors import PyMongoError

    try:
        with pymongo.timeout(TIMEOUT_MS / 1000):
            database["runs"].find_one({}, {"_id": 1})
    except PyMongoError as error:
        return reason(error)
    return None


def reason(error: Exception) -> str:
    """The first clause of what pymongo says; the rest describes its view of the servers."""
    return mask(str(error)).split(", Timeout:")[0].split(" (configured timeouts")[0].split(", full error")[0]


class Sent(NamedTuple):
    """What one round brought to the database."""

    rows: int  # rows of metrics that had not been there
    files: int
    changed: bool  # anything at all


class SupersededError(Exception):
    """The entry of this run now shows the run that resumed it."""


class DatabaseEntry:
    """One run in the database, brought level with its folder as often as one likes; the folder is only read.

    Keeps where it is in the file of metrics, and nothing else. After any PyMongoError call `forget`, and it finds
    out anew what the database has. Rows are added only behind as many as the database has been seen to hold, so a
    message that arrives twice, or whose answer was lost, adds nothing twice.
    """

    def __init__(self, database: "Database[dict[str, Any]]", folder: Path):
        import gridfs

        self.database, self.folder = database, folder
        self.files = gridfs.GridFS(database)
        self.n_rows = 0  # rows of the file that the database has been seen to have
        self._artifacts: list[dict[str, Any]] = []
        self.forget()

    def forget(self) -> None:
        """Trust nothing that was known of the database."""
        self.run_id: int | None = None
        self._document: dict[str, Any] = {}  # what the database has of it
        self._rewind()

    def _rewind(self) -> None:
        self._offset = 0
        self._held: dict[str, int] | None = None  # points of each metric that the database has
        self._seen: Counter[str] = Counter()  # values of each metric, up to the offset
        self._stride: dict[str, int] = {}  # every how many-th value is kept

    def level(self) -> Sent:
        """Bring the entry level with the folder. Raises PyMongoError, SupersededError; ValueError for a broken file."""
        run = read_json(self.folder / "run.json")
        key = run_key(self.folder, run)
        is_new = self.run_id is None and self._find(key, run)
        n_rows = self._send_metrics(key)
        n_files = self._send_files(run)
        document = self._describe(run, key)
        changed = any(value != self._document.get(name) for name, value in document.items())
        if changed:  # last: a run that is COMPLETED there has all its metrics there
            self.database["runs"].update_one({"_id": self.run_id}, {"$set": document})
            for file_id in self._file_ids() - {artifact["file_id"] for artifact in self._artifacts}:
                self.files.delete(file_id)  # of the run that this one continues
            self._document = document
        return Sent(n_rows, n_files, is_new or changed or n_rows + n_files > 0)

    # --- the run's document ---

    def _find(self, key: str, run: dict[str, Any]) -> bool:
        """Find the run's entry, take over that of the run it continues, or insert one; whether the entry is new."""
        from pymongo.errors import DuplicateKeyError

        runs = self.database["runs"]
        found = runs.find_one({"key": key})
        if found is None and runs.find_one({"continued": key}, {"_id": 1}) is not None:
            raise SupersededError(key)
        if found is None and run.get("continues"):
            source = {"key": run["continues"]}
            runs.update_one(source, {"$set": {"key": key}, "$addToSet": {"continued": run["continues"]}})
            found = runs.find_one({"key": key})
        if found is not None:
            self.run_id = found.pop("_id")
            self._document = {name: value for name, value in found.items() if name not in ("continued", "omniboard")}
            return False
        preset_columns(self.database)
        while True:
            latest = runs.find_one({"_id": {"$type": "number"}}, {"_id": 1}, sort=[("_id", -1)])
            number = int(latest["_id"]) + 1 if latest else 1
            try:
                runs.insert_one({"_id": number, "key": key, "status": "RUNNING"})
            except DuplicateKeyError:
                continue  # another run took the number
            self.run_id = number
            return True

    def _describe(self, run: dict[str, Any], key: str) -> dict[str, Any]:
        """The run as Sacred's MongoObserver would write it; its metrics and files are there already."""
        info = self.folder / "info.json"
        output = self.folder / "cout.txt"
        document = {
            "key": key,
            "format": FORMAT,
            "folder": str(self.folder),
            "config": read_json(self.folder / "config.json"),
            "experiment": {**run["experiment"], "sources": []},  # the commit says more than files that may have changed
            "artifacts": self._artifacts,
            "captured_out": mask(output.read_text(errors="replace"))[-LONGEST_OUTPUT:] if output.exists() else "",
            "info": {**(read_json(info) if info.exists() else {}), "metrics": self._metrics()},
            **{name: run.get(name) for name in ("command", "host", "meta", "resources", "result")},
            "status": "PROBABLY_DEAD" if run["status"] == DIED else run["status"],  # Omniboard's word
        }
        for name in ("start_time", "heartbeat", "stop_time"):
            if run.get(name):
                moment = datetime.fromisoformat(run[name])
                document[name] = moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # as BSON keeps it
        if run.get("fail_trace"):
            document["fail_trace"] = run["fail_trace"]
        return bsonable(document)

    # --- metrics ---

    def _metric_id(self, name: str) -> Any:
        return object_id("metric", self.run_id, name)

    def _metrics(self) -> list[dict[str, str]]:
        return [{"name": name, "id": str(self._metric_id(name))} for name in sorted(self._held or {})]

    def _send_metrics(self, key: str) -> int:
        """Send the rows behind the offset, some hundred in one message; how many had not been there."""
        from pymongo.errors import AutoReconnect

        if self._held is None or any(n > 2 * POINTS for n in self._held.values()):
            self._survey(key)
        assert self._held is not None
        path, n_new = self.folder / METRICS_FILE, 0
        for rows, offset in chunks(path, self._offset):
            messages, held, is_new = self._messages(rows, key)
            if messages:
                result = self.database["metrics"].bulk_write(messages, ordered=False)
                if result.matched_count + result.upserted_count != len(messages):
                    raise AutoReconnect("the database has other metrics than it was seen to have")
            self._held, self._offset = held, offset
            self.n_rows += len(rows)
            n_new += is_new
        return n_new

    def _survey(self, key: str) -> None:
        """Count what the file and the database have, and drop metrics that the run does not have (any more)."""
        self._rewind()
        counts: Counter[str] = Counter()
        for row, _ in rows_with_positions(self.folder / METRICS_FILE):
            counts.update(name for name, value in points(row))
        self._stride = {name: stride_of(n) for name, n in counts.items()}
        metrics, self._held, self.n_rows = self.database["metrics"], {}, 0
        count = {"name": 1, "key": 1, "stride": 1, "n": {"$size": "$steps"}}
        for metric in metrics.aggregate([{"$match": {"run_id": self.run_id}}, {"$project": count}]):
            name = metric["name"]
            if name not in counts:
                metrics.delete_one({"_id": metric["_id"]})
            elif (metric.get("key"), metric.get("stride")) == (key, self._stride[name]):
                self._held[name] = metric["n"]

    def _messages(self, rows: list[Row], key: str) -> tuple[list["UpdateOne"], dict[str, int], int]:
        """What to write for these rows, how many points of each metric are there afterwards, and new rows."""
        from pymongo import UpdateOne

        assert self._held is not None
        held, is_new = dict(self._held), 0
        added: dict[str, list[tuple[int, float, datetime]]] = {}
        for row in rows:
            before = sum(len(new) for new in added.values())
            for name, value in points(row):
                stride = self._stride.setdefault(name, 1)
                index, rest = divmod(self._seen[name], stride)
                self._seen[name] += 1
                if rest == 0 and index >= held.get(name, 0):
                    added.setdefault(name, []).append((row["step"], float(value), utc(row.get("time", 0.0))))
            is_new += sum(len(new) for new in added.values()) > before
        messages = []
        for name, new in added.items():
            arrays = dict(zip(("steps", "values", "timestamps"), map(list, zip(*new, strict=True)), strict=True))
            selected: dict[str, Any] = {"_id": self._metric_id(name)}
            identity = {"run_id": self.run_id, "name": name, "key": key, "stride": self._stride[name]}
            if name in held:
                selected["steps"] = {"$size": held[name]}
                push = {field: {"$each": items} for field, items in arrays.items()}
                messages.append(UpdateOne(selected, {"$push": push}))
            else:
                messages.append(UpdateOne(selected, {"$set": {**identity, **arrays}}, upsert=True))
            held[name] = held.get(name, 0) + len(new)
        return messages, held, is_new

    # --- files ---

    def _send_files(self, run: dict[str, Any]) -> int:
        """Store what is not there yet; a file that has changed gets another id. How many were sent."""
        names = [name for name in run["artifacts"] if (self.folder / name).is_file()]
        if read_json(self.folder / "config.json").get("mongo_checkpoints"):
            names += sorted(str(path.relative_to(self.folder)) for path in self.folder.glob("checkpoints/*.pt"))
        known = self._file_ids()
        self._artifacts, n_sent = [], 0
        for name in names:
            path = self.folder / name
            stat = path.stat()
            file_id = object_id("file", self.run_id, name, stat.st_size, stat.st_mtime_ns)
            self._artifacts.append({"name": name, "file_id": file_id})
            if file_id in known or self.files.exists(file_id):
                continue
            self.files.delete(file_id)  # the beginning that a broken transfer may have left
            with path.open("rb") as file:
                self.files.put(file, _id=file_id, filename=f"artifact://runs/{self.run_id}/{name}")
            n_sent += 1
        return n_sent

    def _file_ids(self) -> set[Any]:
        return {artifact["file_id"] for artifact in self._document.get("artifacts", [])}


def points(row: Row) -> Iterator[tuple[str, float]]:
    """The values of a row, without its step and time, and without what was not finite."""
    return ((name, value) for name, value in row.items() if name not in ("step", "time") and value is not None)


def chunks(path: Path, offset: int) -> Iterator[tuple[list[Row], int]]:
    """Rows from a position on, a few hundred at a time, each time with the position behind them."""
    rows: list[Row] = []
    for row, behind in rows_with_positions(path, offset):
        rows.append(row)
        offset = behind
        if len(rows) == CHUNK_ROWS:
            yield rows, offset
            rows = []
    if rows:
        yield rows, offset


def stride_of(n_values: int) -> int:
    """Every how many-th value is kept: the power of two that leaves at most 10,000."""
    stride = 1
    while n_values > stride * POINTS:
        stride *= 2
    return stride


def object_id(*parts: Any) -> Any:
    """The same id for the same things: what is stored twice is stored once."""
    from bson import ObjectId

    return ObjectId(hashlib.sha256(repr(parts).encode()).digest()[:12])


def bsonable(value: Any) -> Any:
    """Whole numbers beyond 64 bits as text: BSON has none."""
    if isinstance(value, dict):
        return {key: bsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [bsonable(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def preset_columns(database: "Database[dict[str, Any]]") -> None:
    """Give Omniboard's list of runs columns for the metrics that matter, once, where the user has made none."""
    collection = database[COLUMN_COLLECTION]
    if collection.count_documents({}, limit=1) == 0:
        for name, metric in COLUMNS.items():
            identity = {"_id": object_id(COLUMN_COLLECTION, name)}
            column = {"name": name, "metric_name": metric, "extrema": "last"}
            collection.update_one(identity, {"$setOnInsert": column}, upsert=True)

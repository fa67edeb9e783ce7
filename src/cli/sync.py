"""Command line: bn-mappo sync [RUN ...] brings a MongoDB level with the files of runs, as often as you like."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.program import program
from bn_mappo.core.secrets import conceal, mask, reveal
from bn_mappo.tracking.files import LOCK_FILE, is_alive, mark_if_dead, read_json
from bn_mappo.tracking.mongo import DatabaseEntry, SupersededError, ask, open_database, reason
from bn_mappo.tracking.recorded import find_runs, short_name

if TYPE_CHECKING:
    from pymongo.database import Database

EPILOG = f"""The address is --mongo-url, or the variable MONGO_URL, which no list of processes shows:

  MONGO_URL=mongodb://user:password@host:27017/sacred {program("sync")}
  {program("sync")} results/sacred/bn_mappo/aloha/3 --mongo-url mongodb://127.0.0.1:27017/sacred

Runs whose process died are marked in their folders, and in the database. Runs that are going on are left to themselves.
The database is only added to: deleting a folder deletes nothing there."""


def sync_run(folder: Path, database: "Database[dict[str, Any]]") -> tuple[str, str]:
    """Bring the database level with one folder; the outcome in a word, and a message."""
    from pymongo.errors import PyMongoError

    try:
        run = read_json(folder / "run.json")
        if run["status"] == "RUNNING" and is_alive(folder, run):
            return "running", "its process is at work"
        died = mark_if_dead(folder)
        with FileLock(folder / LOCK_FILE, timeout=0):
            entry = DatabaseEntry(database, folder)
            sent = entry.level()
    except Timeout:
        return "running", "its process, or another sync.py, is at work"
    except SupersededError:
        return "superseded", "its entry shows the run that resumed it"
    except PyMongoError as error:
        return "failed", reason(error)
    except (OSError, ValueError, KeyError) as error:
        return "unreadable", str(error)
    message = (
        f"run {entry.run_id}: {sent.rows} rows and {sent.files} files sent{', its process had died' if died else ''}"
    )
    return ("sent" if sent.changed else "level"), message


def main(arguments: Sequence[str]) -> int:
    """Sync the runs; exit status 0, 1 if one could not be sent, 2 for a user's mistake."""
    arguments = [conceal(argument) for argument in arguments]
    parser = argparse.ArgumentParser(
        prog=program("sync"), description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="folders, or ALG/ENV/NUMBER; default: all runs")
    parser.add_argument("--mongo-url", help="address of the database (default: $MONGO_URL)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (default: results)")
    options = parser.parse_args(arguments)
    url = reveal(options.mongo_url or "") or os.environ.get("MONGO_URL", "")
    try:
        if not url:
            raise ConfigError("no address: give --mongo-url mongodb://host:27017/sacred, or set MONGO_URL")
        folders = find_runs(options.results, options.runs)
        database = open_database(url)
        problem = ask(database)
        if problem:
            raise ConfigError(f"MongoDB at {mask(url)} does not answer: {problem}")
    except ConfigError as error:
        fail(error, 2)
    print(f"MongoDB at {mask(url)}, {len(folders)} runs")
    outcomes: Counter[str] = Counter()
    console = Console(stderr=True)
    for folder in track(folders, "syncing", console=console, disable=not console.is_terminal):
        outcome, message = sync_run(folder, database)
        outcomes[outcome] += 1
        if outcome != "level":
            print(f"{outcome:>10}  {short_name(folder)}: {message}", flush=True)
        if outcome == "failed" and ask(database):
            print("error: the database has gone; run the same command again when it is back", file=sys.stderr)
            break
    print(", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items())) or "nothing to send")
    return 1 if outcomes["failed"] or outcomes["unreadable"] else 0

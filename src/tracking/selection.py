"""Which runs a command is about: names, filters by configuration, environment, status, date and any key."""

import argparse
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from bn_mappo.core.errors import ConfigError, nearest, unknown
from bn_mappo.tracking.recorded import UNREADABLE, RecordedRun, find_runs, read_run

STATUSES = ("COMPLETED", "RUNNING", "INTERRUPTED", "FAILED", "DIED", UNREADABLE)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The options that choose runs."""
    parser.add_argument("runs", nargs="*", metavar="RUN | KEY=VALUE", help="ALG/ENV/NUMBER, a folder, or seed=3 ...")
    parser.add_argument("--config", help="only this configuration (--config of the run)")
    parser.add_argument("--env", help="only this environment (--env-config of the run)")
    parser.add_argument("--status", help=f"only runs that are {', '.join(STATUSES).lower()}")
    parser.add_argument("--since", metavar="DATE", help="started then or later: 2026-11-23 or 2026-11-23T14:00 (UTC)")
    parser.add_argument("--until", metavar="DATE", help="started before then")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (default: results)")


def select(options: argparse.Namespace) -> list[RecordedRun]:
    """The runs that the options choose; unreadable ones only where nothing is asked of their contents."""
    names = [word for word in options.runs if "=" not in word]
    wanted = [_wanted(word) for word in options.runs if "=" in word]
    if options.status and options.status.upper() not in STATUSES:
        raise unknown("--status", options.status, [status.lower() for status in STATUSES])
    since, until = _date("--since", options.since), _date("--until", options.until)
    folders = find_runs(options.results, names)
    for flag, given, part in (("--config", options.config, 2), ("--env", options.env, 1)):
        if given is None:
            continue
        there = {folder.parts[-1 - part] for folder in folders}
        if given not in there:
            raise unknown(flag, given, there) if there else ConfigError(f"{flag} {given}: no runs in {options.results}")
        folders = [folder for folder in folders if folder.parts[-1 - part] == given]
    runs = [read_run(folder) for folder in folders]
    readable = [run for run in runs if not run.problem]
    keys = {key for run in readable for key in run.config}
    for key, _ in wanted:
        if readable and key not in keys:
            raise ConfigError(f"no run has a key '{key}'.{nearest(key, keys)}")
    return [
        run
        for run in runs
        if (not options.status or run.status == options.status.upper())
        and all(run.config.get(key) == value for key, value in wanted)
        and (since is None or run.run.get("start_time", "") >= since)
        and (until is None or "" < run.run.get("start_time", "") < until)
    ]


def _wanted(word: str) -> tuple[str, object]:
    """KEY=VALUE, the value read as YAML: seed=3 is a number."""
    key, _, text = word.partition("=")
    return key, OmegaConf.from_dotlist([f"value={text}"]).value


def _date(flag: str, given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).isoformat()
    except ValueError:
        raise ConfigError(f"{flag} {given}: give a date such as 2026-11-23 or 2026-11-23T14:00") from None

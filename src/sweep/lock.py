"""A folder at which one process is at work is left alone by all others."""

from pathlib import Path

from filelock import FileLock, Timeout

from bn_mappo.core.errors import ConfigError

LOCK_FILE = ".lock"


def take(folder: Path) -> FileLock:
    """Keep others out of a folder until the lock is released or this process has ended; ConfigError if one is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"another process is at work in {folder}. Wait until it has ended, or end it, or give another --output"
        ) from None
    return lock

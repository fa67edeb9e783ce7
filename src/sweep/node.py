"""One run on a machine of a cluster: in the folder of the sweep where that is shared, else in one of its own."""

import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bn_mappo.core.files import write_whole
from bn_mappo.sweep.cells import LOG_FILE, Cell
from bn_mappo.sweep.worker import status_of_words

SECONDS_BETWEEN_COPIES = 3.0
TOKEN = ".sweep"  # a file in the folder of a sweep; a machine that reads the same word in it shares the folder

Send = Callable[[dict[str, bytes]], None]  # files by their paths below the cell's folder


class Place(NamedTuple):
    """Where the records of a sweep lie."""

    root: str
    token: str  # content of the file TOKEN


def is_shared(place: Place) -> bool:
    """Whether this machine sees the folder."""
    try:
        return (Path(place.root) / TOKEN).read_text() == place.token
    except OSError:
        return False


def run_cell(cell: dict[str, Any], place: Place, fetch: Callable[[], dict[str, bytes]], send: Send) -> int:
    """Run or resume a cell; its exit status. Without a shared folder, what it earned is fetched first, and sent on."""
    own = Cell(**cell)
    if is_shared(place):
        root = Path(place.root)
        return status_of_words(own.words(root), own.folder(root) / LOG_FILE)
    root = Path(tempfile.mkdtemp(prefix="bn_mappo_"))
    folder = own.folder(root)
    try:
        unpack(fetch(), folder)
        with Courier(folder, send):
            return status_of_words(own.words(root), folder / LOG_FILE)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def unpack(files: dict[str, bytes], folder: Path) -> None:
    """Write files below a folder, each as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name} lies outside of {folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def pack(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Courier:
    """Context in which files that have changed are sent every few seconds, and at the end."""

    def __init__(self, folder: Path, send: Send):
        self.folder, self.send = folder, send
        self.known: dict[Path, tuple[int, int]] = {path: stamp(path) for path in folder.rglob("*") if path.is_file()}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        self.is_over.set()
        self.thread.join()
        self.carry()

    def _work(self) -> None:
        while not self.is_over.wait(SECONDS_BETWEEN_COPIES):
            self.carry()

    def carry(self) -> None:
        """Send what has changed since the last call; checkpoints last, so that the rows they count are there."""
        changed: dict[Path, tuple[int, int]] = {}
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # a half-written file that has got its name meanwhile
                if path.is_file() and path.suffix != ".tmp" and stamp(path) != self.known.get(path):
                    changed[path] = stamp(path)
        contents = {}
        for path in sorted(changed, key=lambda path: path.suffix == ".pt"):
            try:
                contents[str(path.relative_to(self.folder))] = path.read_bytes()
            except FileNotFoundError:
                del changed[path]
        if contents:
            self.send(contents)
        self.known |= changed


def stamp(path: Path) -> tuple[int, int]:
    """Changes when the file does."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size

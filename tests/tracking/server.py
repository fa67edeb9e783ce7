"""A server that speaks MongoDB's protocol, as a process that tests stop, freeze and start again; on loopback alone."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "secantusd-py"


def free_port() -> int:
    """A port on loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The process. Data survive kill and restart."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        """Its address, with a database."""
        return f"mongodb://127.0.0.1:{self.port}/runs"

    def start(self) -> None:
        """Start, and wait until it listens."""
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(self.folder)]
        self.process = subprocess.Popen(
            [str(COMMAND), *arguments, "--standalone", "--cache-size", "64M"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the server does not start")

    def kill(self) -> None:
        """As a crash of its machine."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """It accepts connections, and never answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def database(self):
        """A client of its own."""
        import pymongo

        return pymongo.MongoClient(self.url, serverSelectionTimeoutMS=10_000).get_default_database()


@pytest.fixture
def server(tmp_path):
    """A server that has not been started."""
    if not COMMAND.exists():
        pytest.skip("secantusdb, the server for tests, is not installed (requirements-dev.txt)")
    server = Server(tmp_path / "server")
    yield server
    server.kill()
    shutil.rmtree(server.folder, ignore_errors=True)

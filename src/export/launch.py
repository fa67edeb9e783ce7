"""One process per agent, started on this machine."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.core.extras import load
from bn_mappo.core.threads import single_threaded
from bn_mappo.export.runtime.agent import Conduct
from bn_mappo.export.runtime.contract import read_contract
from bn_mappo.export.runtime.process import LOOPBACK, TOKEN
from bn_mappo.export.team import read_team

ROOT = Path(__file__).resolve().parents[1]


def new_token() -> str:
    """A secret for one team."""
    return secrets.token_urlsafe(32)


class Agents:
    """The processes of some agents of a folder; ends them when it is left."""

    def __init__(
        self,
        folder: Path,
        token: str,
        conduct: Conduct,
        numbers: Sequence[int] | None = None,
        host: str = LOOPBACK,
        port: int = 0,
    ):
        """`numbers`: which ones (default: all); `port`: of the first, the others follow (0: any that are free)."""
        names = read_team(folder)["agents"]
        self.numbers = list(range(len(names)) if numbers is None else numbers)
        for name in ("onnxruntime", "zmq", "msgpack"):
            load(name)
        if read_contract(folder / names[0]).network_format != "onnx":
            raise ConfigError(f"{folder} holds programs of torch, and agents run on onnxruntime: export --format onnx")
        self.processes: list[subprocess.Popen[str]] = []
        self.addresses: list[str] = []
        single_threaded()
        try:
            for place, number in enumerate(self.numbers):
                words = [str(folder / names[number]), "--host", host, "--port", str(port + place if port else 0)]
                words += ["--parent", str(os.getpid()), "--conduct", json.dumps(asdict(conduct))]
                self.processes.append(start(words, token))
            for number, process in zip(self.numbers, self.processes, strict=True):
                self.addresses.append(_address(number, process))
        except BaseException:
            self.close()
            raise

    def kill(self, number: int) -> None:
        """End one agent at once, as if its machine had lost power."""
        process = self.processes[self.numbers.index(number)]
        process.kill()
        process.wait()

    def wait(self) -> None:
        """Until all have ended."""
        for process in self.processes:
            process.wait()

    def close(self) -> None:
        """End them all."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(words: list[str], token: str) -> "subprocess.Popen[str]":
    """A process that imports this package by its name, from where it lies here."""
    code = (
        "import importlib.util as u, sys; "
        f"s = u.spec_from_file_location('bn_mappo', {str(ROOT / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(ROOT)!r}]); m = u.module_from_spec(s); sys.modules['bn_mappo'] = m; "
        "s.loader.exec_module(m); from bn_mappo.export.runtime.process import main; sys.exit(main())"
    )
    environment = {**os.environ, TOKEN: token}
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def _address(number: int, process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RunError(f"agent {number} ended before it was ready, with status {process.wait()}; see its message above")
    return str(json.loads(line)["address"])

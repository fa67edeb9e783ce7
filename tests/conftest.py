"""Toy environments are there for one test alone, unseen by contracts over the registry; no test meets a database."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

import toy_envs
from bn_mappo.envs.registry import REGISTRY


@pytest.fixture
def toys():
    games = {
        "bit_game": toy_envs.BitGame,
        "either_sees_game": toy_envs.EitherSeesGame,
        "masked_game": toy_envs.MaskedGame,
        "faulty_game": toy_envs.FaultyGame,
        "leaving_game": toy_envs.LeavingGame,
        "stay_game": toy_envs.StayGame,
        "leaving_single": toy_envs.LeavingSingle,
        "witness_game": toy_envs.WitnessGame,
        "witness_single": toy_envs.WitnessSingle,
    }
    for name, game in games.items():
        REGISTRY.register(name, "for tests")(game)
    yield
    for name in games:
        REGISTRY.remove(name)


@pytest.fixture(autouse=True)
def no_database(monkeypatch):
    """The developer's own database stays out of the tests."""
    monkeypatch.delenv("MONGO_URL", raising=False)


@pytest.fixture(autouse=True)
def no_starcraft(monkeypatch, tmp_path_factory):
    """The developer's own StarCraft II stays out of the tests."""
    monkeypatch.setenv("SC2PATH", str(tmp_path_factory.getbasetemp() / "no_game_here"))


class StandIn:
    """A folder that looks like an installed game, and the orders to the package that stands in for SMAC's."""

    def __init__(self, folder: Path):
        self.game, self.orders = folder / "StarCraftII", folder / "orders"
        self.orders.mkdir(parents=True)
        (self.game / "Versions" / "Base69232").mkdir(parents=True)
        (self.game / "Versions" / "Base75689").mkdir()
        (self.game / "Maps" / "SMAC_Maps").mkdir(parents=True)
        for name in ("3m", "8m", "MMM2", "32x32_flat"):
            (self.game / "Maps" / "SMAC_Maps" / f"{name}.SC2Map").touch()

    def order(self, fault: str) -> None:
        """Give an order (tests/stand_ins/smac): most are for one game, and once."""
        (self.orders / fault).touch()

    def launched(self) -> list[int]:
        """The process of every game that was launched so far."""
        return self._pids("launched")

    def closed(self) -> list[int]:
        """Those of them that ended because they were asked to."""
        return self._pids("closed")

    def _pids(self, name: str) -> list[int]:
        file = self.orders / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def running(self) -> list[int]:
        """Those that still run."""
        return [pid for pid in self.launched() if is_running(pid)]


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def starcraft(monkeypatch, tmp_path_factory, no_starcraft):
    """StarCraft II is installed, or so it looks."""
    stand_in = StandIn(tmp_path_factory.mktemp("starcraft"))
    monkeypatch.setenv("SC2PATH", str(stand_in.game))
    monkeypatch.setenv("STAND_IN", str(stand_in.orders))
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "stand_ins"))
    yield stand_in
    for name in [name for name in sys.modules if name.split(".")[0] in ("smac", "smacv2")]:
        del sys.modules[name]
    for pid in stand_in.running():  # of tests that close nothing; one may end meanwhile
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)

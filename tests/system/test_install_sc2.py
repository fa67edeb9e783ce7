"""install_sc2.sh with packages that are here already, without a network: it makes what the adapter looks for."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bn_mappo.envs.adapters.starcraft2_install import SMACV2, problems

SCRIPT = Path(__file__).parents[2] / "install_sc2.sh"
pytestmark = pytest.mark.skipif(
    not shutil.which("unzip") or sys.platform != "linux", reason="the script is for Linux, and needs unzip"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the game goes; beside it the two packages."""
    with zipfile.ZipFile(tmp_path / "game.zip", "w") as package:
        for name in ("Versions/Base75689/SC2_x64", "SC2Data/config", "Maps/readme"):
            package.writestr(f"StarCraftII/{name}", "")
    with zipfile.ZipFile(tmp_path / "maps.zip", "w") as package:
        package.writestr("SMAC_Maps/3m.SC2Map", "")
    monkeypatch.setenv("SC2PATH", str(tmp_path / "game"))
    return tmp_path


def install(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = ["bash", str(SCRIPT), "--maps", str(folder / "maps.zip"), *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=os.environ)


def missing_of_the_game() -> list[str]:
    return [problem.remedy for problem in problems("3m") if "pip" not in problem.remedy]


def test_game_and_maps_are_installed_once(folder):
    assert missing_of_the_game() == ["./install_sc2.sh"]
    done = install(folder, "--accept-eula", "--game", str(folder / "game.zip"))
    assert done.returncode == 0, done.stderr
    assert missing_of_the_game() == [] and f"export SC2PATH={folder / 'game'}" in done.stdout
    assert (folder / "game" / "SC2Data" / "config").exists() and (folder / "game" / "Maps" / "readme").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["game", "game.zip", "maps.zip"]
    assert "already" in install(folder).stdout


def test_maps_alone(folder):
    (folder / "game" / "Versions").mkdir(parents=True)
    assert missing_of_the_game() == ["./install_sc2.sh --maps-only"]
    assert install(folder, "--maps-only").returncode == 0 and missing_of_the_game() == []


def test_maps_of_smacv2_lie_in_no_folder_of_their_archive(folder):
    (folder / "game" / "Versions").mkdir(parents=True)
    with zipfile.ZipFile(folder / "maps.zip", "w") as package:
        package.writestr("32x32_flat.SC2Map", "")
    done = install(folder, "--maps-only", "--smacv2")
    assert done.returncode == 0 and "--env-config=sc2v2 with env_args.map_name=terran_5_vs_5" in done.stdout
    assert [problem.what for problem in problems("32x32_flat", SMACV2) if problem.is_map] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--game", "{}/game.zip"], "--accept-eula"),  # nobody is asked where nobody can answer
        (["--accept-eula", "--game", "{}/maps.zip"], "no folder StarCraftII/Versions"),
        (["--accept-eula", "--game", "{}/none.zip"], "there is no file"),
        (["--maps-only"], "there is no StarCraft II in"),
        (["--version", "5"], "4.10 and 4.6.2"),
        (["--version"], "needs a value"),
        (["--map-only"], "unknown option --map-only"),
    ],
)
def test_mistakes_leave_no_game_that_looks_whole(folder, arguments, words):
    done = install(folder, *(argument.format(folder) for argument in arguments))
    assert done.returncode == 2 and words in done.stderr and missing_of_the_game() == ["./install_sc2.sh"]

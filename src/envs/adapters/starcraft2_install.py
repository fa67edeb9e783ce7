"""What of StarCraft II is on this machine: the packages of SMAC and SMACv2, the game, its maps. Starts nothing."""

import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from bn_mappo.core.errors import nearest

MAP_FOLDER = Path("Maps", "SMAC_Maps")
MAP_SUFFIX = ".SC2Map"
VERSIONS = {"Base69232": "4.6.2", "Base75689": "4.10.0"}  # of Blizzard's Linux packages that SMAC is played with


class Package(NamedTuple):
    """One of the two packages that play battles in the game. Neither is on PyPI, where "smac" is another project."""

    module: str  # the battles are in MODULE.env
    distribution: str
    install: str
    install_game: str  # and its maps
    install_maps: str


SMAC = Package(
    "smac",
    "SMAC",
    ".venv/bin/pip install -r requirements-sc2.txt",
    "./install_sc2.sh",
    "./install_sc2.sh --maps-only",
)
SMACV2 = Package(
    "smacv2",
    "SMACv2",
    ".venv/bin/pip install -r requirements-sc2v2.txt",
    "./install_sc2.sh --smacv2",
    "./install_sc2.sh --maps-only --smacv2",
)


class Problem(NamedTuple):
    """Something that is missing, and the command that brings it."""

    what: str
    remedy: str
    is_map: bool = False  # package and game are there


def package_problem(package: Package) -> Problem | None:
    """None where the package is there, and is that of the SMAC authors."""
    spec = importlib.util.find_spec(package.module)
    if spec is None:
        return Problem(f"the SMAC authors' Python package ({package.module}.env) is not installed", package.install)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not any((folder / "env" / "__init__.py").is_file() for folder in folders):
        what = f"the installed Python package '{package.module}' is not the SMAC authors'"
        if package is SMAC:
            what += ", but PyPI's optimiser of that name"
        return Problem(what, f".venv/bin/pip uninstall {package.module}; {package.install}")
    return None


def usual_folders() -> list[Path]:
    """Where the game is looked for when SC2PATH does not say, best first."""
    folders = [Path.home() / "StarCraftII", Path("3rdparty", "StarCraftII").absolute()]
    if sys.platform == "darwin":
        folders.append(Path("/Applications/StarCraft II"))
    if sys.platform == "win32":
        folders.append(Path("C:/Program Files (x86)/StarCraft II"))
    return folders


def game_folder() -> Path | None:
    """The folder of the game: SC2PATH, which alone counts where it is set, or a usual one; None: there is none."""
    given = os.environ.get("SC2PATH")
    folders = [Path(given).expanduser()] if given else usual_folders()
    return next((folder for folder in folders if (folder / "Versions").is_dir()), None)


def game_problem(package: Package) -> Problem | None:
    """None where the game is installed; `package` tells which maps come with it."""
    if game_folder() is not None:
        return None
    given = os.environ.get("SC2PATH")
    if given:
        what = f"there is no StarCraft II in SC2PATH={given}, which has no folder Versions"
        return Problem(what, package.install_game)
    tried = ", ".join(str(folder) for folder in usual_folders())
    return Problem(f"StarCraft II is not in {tried}, and SC2PATH is not set", package.install_game)


def map_problem(folder: Path, map_name: str, package: Package) -> Problem | None:
    """None where the map's file is among the game's maps."""
    maps = sorted(path.stem for path in (folder / MAP_FOLDER).glob(f"*{MAP_SUFFIX}"))
    if map_name in maps:
        return None
    if not maps:
        return Problem(f"the SMAC maps are not in {folder / MAP_FOLDER}", package.install_maps, is_map=True)
    what = f"there is no map '{map_name}' in {folder / MAP_FOLDER}.{nearest(map_name, maps)} There: {', '.join(maps)}"
    return Problem(what, package.install_maps, is_map=True)


def problems(map_name: str, package: Package = SMAC) -> list[Problem]:
    """All that is missing to play a map in the real game; empty: nothing that can be seen without starting it."""
    folder = game_folder()
    missing_map = None if folder is None else map_problem(folder, map_name, package)
    found = [package_problem(package), game_problem(package), missing_map]
    return [problem for problem in found if problem is not None]


def explain(missing: list[Problem]) -> str:
    """What is missing, and how to install it, in several lines."""
    remedies = [f"{problem.what}.\n  Install: {problem.remedy}" for problem in missing]
    return "\nand ".join(remedies) + "\nSee docs/starcraft2.md."


def builds(folder: Path) -> list[str]:
    """The installed builds, such as Base75689, oldest first."""
    numbers = [path.name.removeprefix("Base") for path in (folder / "Versions").glob("Base*")]
    return [f"Base{number}" for number in sorted((n for n in numbers if n.isdigit()), key=int)]


def played_version(folder: Path, asked: str | None) -> str:
    """The version that games are played with: the one asked for (`game_version`), else the newest build."""
    if asked is not None:
        return asked
    newest = builds(folder)[-1] if builds(folder) else "unknown build"
    return f"{VERSIONS[newest]} ({newest})" if newest in VERSIONS else newest


def describe_game(asked_version: str | None, package: Package = SMAC) -> dict[str, str]:
    """What a run on the real game records of it; `asked_version`: the argument game_version."""
    folder = game_folder()
    version = "unknown" if folder is None else played_version(folder, asked_version)
    game = {"backend": "sc2", "game_version": version, "game_folder": str(folder)}
    return {**game, f"{package.module}_package": package_version(package)}


def package_version(package: Package) -> str:
    """Version of the SMAC authors' package, with the commit that it was installed from where pip has kept it."""
    try:
        distribution = importlib.metadata.distribution(package.distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    return f"{distribution.version} ({commit})" if commit else distribution.version

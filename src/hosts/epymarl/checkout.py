"""A checkout of the host: where its files are, and which packages it needs. Only reads."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bn_mappo.core.errors import ConfigError

LAYOUT = (
    "src/main.py",
    "src/controllers/__init__.py",
    "src/learners/__init__.py",
    "src/runners/__init__.py",
    "src/config/default.yaml",
    "src/config/algs",
)
OURS = {"torch": "the adapter", "numpy": "the adapter", "scipy": "the adapter"}
INSTALL = {
    "yaml": "PyYAML",
    "sacred": 'sacred "setuptools<81"',
    "pkg_resources": '"setuptools<81"',
    "smaclite": "git+https://github.com/uoe-agents/smaclite.git",
    "smac": "git+https://github.com/oxwhirl/smac.git",
}
OLDEST_PYTHON = (3, 11)
ASK = """
import importlib.util, json, sys
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print(json.dumps([list(sys.version_info[:2]), missing]))
"""


class Checkout:
    """The files of an EPyMARL, or of a fork of it, that a plug-in touches or needs."""

    def __init__(self, path: str | Path):
        """ConfigError where there is none at the path."""
        self.root = Path(path).expanduser().resolve()
        self.source = self.root / "src"
        if not self.root.is_dir():
            raise ConfigError(f"{self.root}: there is no such folder. Give the checkout, the folder that holds src/")
        missing = [name for name in LAYOUT if not (self.root / name).exists()]
        if missing:
            raise ConfigError(
                f"{self.root} is no checkout of EPyMARL: it lacks {', '.join(missing)}. "
                f"Looked for {', '.join(LAYOUT)}. Give the folder that holds src/"
            )
        self.controllers = self.source / "controllers" / "__init__.py"
        self.learners = self.source / "learners" / "__init__.py"
        self.algorithms = self.source / "config" / "algs"
        for registry in (self.controllers, self.learners):
            if "REGISTRY" not in assigned_names(registry):
                raise ConfigError(f"{registry} has no REGISTRY: this fork finds its parts elsewhere")

    def check_packages(self, python: str = sys.executable) -> None:
        """ConfigError where a Python lacks what the host imports at its start, or is too old for us."""
        needed = {**OURS, **self.imported_packages()}
        if "sacred" in needed:
            needed["pkg_resources"] = "sacred"
        try:
            answer = subprocess.run([python, "-c", ASK, *needed], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise ConfigError(f"{python} cannot be asked for its packages: {error}") from error
        version, missing = json.loads(answer.splitlines()[-1])
        if tuple(version) < OLDEST_PYTHON:
            raise ConfigError(f"{python} is Python {version[0]}.{version[1]}; bn_mappo needs 3.11 or newer")
        if missing:
            by = ", ".join(f"{name} (imported by {needed[name]})" for name in missing)
            packages = " ".join(dict.fromkeys(INSTALL.get(name, name) for name in missing))
            raise ConfigError(f"{python} lacks {by}.\nInstall it: {python} -m pip install {packages}")

    def imported_packages(self) -> dict[str, str]:
        """What is imported as src/main.py is: package -> the file that imports it; not the standard library."""
        found: dict[str, str] = {}
        pending, known = [self.source / "main.py"], set()
        while pending:
            file = pending.pop()
            if file in known:
                continue
            known.add(file)
            for name in imports_at_once(file, self.source):
                own = self._own_files(name)
                pending += own
                top = name.partition(".")[0]
                if not own and top not in sys.stdlib_module_names and top != "bn_mappo":
                    found.setdefault(top, str(file.relative_to(self.root)))
        return found

    def _own_files(self, module: str) -> list[Path]:
        """The files of the checkout that are run as this module is imported: packages first."""
        files = []
        path = self.source
        for part in module.split("."):
            path = path / part
            files += [file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()]
        return files


def imports_at_once(file: Path, source: Path) -> Iterator[str]:
    """Modules, with dots from src/ on, that are imported whatever happens: neither in functions, nor if, nor try."""
    package = file.relative_to(source).parent.parts
    for node in parse(file).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if (source / module.replace(".", "/")).is_dir():  # names may be modules
                yield from (f"{module}.{alias.name}" for alias in node.names)


def assigned_names(file: Path) -> set[str]:
    """Names that a module sets."""
    targets = [target for node in parse(file).body if isinstance(node, ast.Assign) for target in node.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def parse(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    try:
        return ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise ConfigError(f"{file}, line {error.lineno}: {error.msg}") from error

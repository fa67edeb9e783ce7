"""Command line: bn-mappo plug-in --epymarl PATH puts bn_mappo into an EPyMARL checkout, --remove takes it out."""

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.program import program
from bn_mappo.hosts.epymarl import yaml_files
from bn_mappo.hosts.epymarl.checkout import Checkout
from bn_mappo.hosts.epymarl.config import LEARNER, MAC

PACKAGE = Path(__file__).resolve().parents[2]
MARK = b"  # bn_mappo plug-in"
EXAMPLE = (
    "src/main.py --config=bn_mappo --env-config=gymma with "
    "env_args.time_limit=50 env_args.key=lbforaging:Foraging-8x8-2p-3f-v3"
)
COPY_MARK = "copied_by_plug_in"  # a file in the copied package
LINES = {
    "controllers": f'from bn_mappo.hosts.epymarl.mac import DAGController; REGISTRY["{MAC}"] = DAGController',
    "learners": f'from bn_mappo.hosts.epymarl.learner import BNMAPPO; REGISTRY["{LEARNER}"] = BNMAPPO',
}
EPILOG = """What it writes into the checkout: src/bn_mappo (a link to this package, or a copy), the YAML files of the
algorithms under src/config/algs, and one marked line at the end of src/controllers/__init__.py and of
src/learners/__init__.py. --remove leaves every file as it was.

No checkout has to be changed to try it: python -m bn_mappo.hosts.epymarl PATH --config=bn_mappo ..."""


def main(arguments: Sequence[str]) -> int:
    """Plug in, or remove; exit status 0, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog=program("plug-in"),
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--epymarl", required=True, metavar="PATH", help="the checkout: the folder that holds src/")
    parser.add_argument("--remove", action="store_true", help="take bn_mappo out again")
    parser.add_argument("--copy", action="store_true", help="copy the package instead of linking to it")
    parser.add_argument("--python", default=sys.executable, help="the Python of the checkout (default: this one)")
    options = parser.parse_args(arguments)
    try:
        checkout = Checkout(options.epymarl)
        if options.remove:
            print("\n".join(remove(checkout)))
            return 0
        checkout.check_packages(options.python)
        written = plug_in(checkout, options.copy)
    except (ConfigError, OSError) as error:
        fail(error, 2)
    print("\n".join(written))
    print(f"Now train:\n  cd {shlex.quote(str(checkout.root))}\n  {shlex.quote(options.python)} {EXAMPLE}")
    return 0


def plug_in(checkout: Checkout, copy: bool = False) -> list[str]:
    """Write everything, or nothing; returns what was done, a line each."""
    present = found_parts(checkout)
    if present:
        raise ConfigError(f"bn_mappo is already plugged in ({', '.join(present)}): take it out with --remove first")
    texts = yaml_files.host_yamls()
    package, files = checkout.source / "bn_mappo", {checkout.algorithms / f"{name}.yaml": texts[name] for name in texts}
    for path in (package, *files):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path} exists, and is none of bn_mappo's: move it away first")
    try:
        link_or_copy(package, copy)
        for path, text in files.items():
            path.write_bytes(text.encode())
        for registry, line in registry_lines(checkout).items():
            registry.write_bytes(with_line(registry.read_bytes(), line))
    except BaseException:
        remove(checkout)
        raise
    return [
        f"{'copied to' if copy else 'linked as'} {package}",
        *(f"wrote {path}" for path in files),
        *(f"added a line to {registry}" for registry in registry_lines(checkout)),
    ]


def remove(checkout: Checkout) -> list[str]:
    """Take out what `plug_in` put in, and nothing else; returns what was done, a line each."""
    done = []
    for registry in registry_lines(checkout):
        content = registry.read_bytes()
        if MARK in content:
            registry.write_bytes(without_line(content))
            done.append(f"took the line out of {registry}")
    for path in own_yamls(checkout):
        path.unlink()
        done.append(f"deleted {path}")
    package = checkout.source / "bn_mappo"
    if is_own_package(package):
        if package.is_symlink():
            package.unlink()
        else:
            shutil.rmtree(package)
        done.append(f"deleted {package}")
    return done or [f"bn_mappo is not in {checkout.root}"]


def found_parts(checkout: Checkout) -> list[str]:
    """What of bn_mappo is in the checkout."""
    marked = [path for path in registry_lines(checkout) if MARK in path.read_bytes()]
    package = checkout.source / "bn_mappo"
    paths = [*marked, *own_yamls(checkout), *([package] if is_own_package(package) else [])]
    return [str(path.relative_to(checkout.root)) for path in paths]


def registry_lines(checkout: Checkout) -> dict[Path, str]:
    """The line that each registry gets."""
    return {checkout.controllers: LINES["controllers"], checkout.learners: LINES["learners"]}


def own_yamls(checkout: Checkout) -> list[Path]:
    """The YAML files that a plug-in has written."""
    mark = yaml_files.MARK.encode()
    return [path for path in sorted(checkout.algorithms.glob("*.yaml")) if path.read_bytes().startswith(mark)]


def is_own_package(path: Path) -> bool:
    """Whether src/bn_mappo of a checkout is a link to this package, or to one that has gone, or a plug-in's copy."""
    if path.is_symlink():
        return path.resolve() == PACKAGE or not path.exists() or (path / "hosts" / "epymarl" / "plug_in.py").is_file()
    return (path / COPY_MARK).is_file()


def link_or_copy(target: Path, copy: bool) -> None:
    """Make this package importable beside the host's modules."""
    if copy:
        shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        (target / COPY_MARK).touch()
        return
    try:
        target.symlink_to(PACKAGE, target_is_directory=True)
    except OSError as error:
        raise ConfigError(f"{target} cannot be made a link ({error}): use --copy") from error


def with_line(content: bytes, line: str) -> bytes:
    """The file with a marked line at its end; a file that ends without a newline still does."""
    newline = b"\r\n" if b"\r\n" in content else b"\n"
    marked = line.encode() + MARK
    if content and not content.endswith(b"\n"):
        return content + newline + marked
    return content + marked + newline


def without_line(content: bytes) -> bytes:
    """The file without its marked line: what `with_line` was given."""
    lines = content.splitlines(keepends=True)
    kept = [line for line in lines if not line.rstrip(b"\r\n").endswith(MARK)]
    if lines and lines[-1].endswith(MARK) and kept:  # the newline before it came with it
        with suppress(IndexError):
            kept[-1] = kept[-1].removesuffix(b"\n").removesuffix(b"\r")
    return b"".join(kept)

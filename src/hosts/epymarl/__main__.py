"""Launcher: python -m bn_mappo.hosts.epymarl PATH ARGUMENTS runs PATH/src/main.py with bn_mappo, and changes no file.

The algorithms are registered in this process, and their YAML files lie in a temporary folder. Everything behind PATH
goes to the host, such as: --config=bn_mappo --env-config=gymma with env_args.key=lbforaging:Foraging-8x8-2p-3f-v3
"""

import importlib
import os
import runpy
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.hosts.epymarl.checkout import Checkout
from bn_mappo.hosts.epymarl.config import LEARNER, MAC


def main(arguments: Sequence[str]) -> int:
    """Run the host; exit status 2 for a user's mistake, else the host's own."""
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 0 if "--help" in arguments else 2
    try:
        checkout = Checkout(arguments[0])
        checkout.check_packages()
    except ConfigError as error:
        fail(error, 2)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # of environment workers
    sys.path.insert(0, str(checkout.source))
    register()
    with tempfile.TemporaryDirectory(prefix="bn_mappo_") as folder:
        names = write_yamls(Path(folder))
        main_file = str(checkout.source / "main.py")
        sys.argv = [main_file, *(names.get(argument, argument) for argument in arguments[1:])]
        runpy.run_path(main_file, run_name="__main__")
    return 0


def register() -> None:
    """Put controller and learner into the host's registries."""
    from bn_mappo.hosts.epymarl.learner import BNMAPPO
    from bn_mappo.hosts.epymarl.mac import DAGController

    importlib.import_module("controllers").REGISTRY[MAC] = DAGController
    importlib.import_module("learners").REGISTRY[LEARNER] = BNMAPPO


def write_yamls(folder: Path) -> dict[str, str]:
    """Write our YAML files; --config=NAME -> the same with the path, to which the host adds .yaml by itself."""
    from bn_mappo.hosts.epymarl.yaml_files import host_yamls

    names = {}
    for name, text in host_yamls().items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        names[f"--config={name}"] = f"--config={folder / name}"
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Command line of a checkout: python src/main.py ARGUMENTS is bn-mappo ARGUMENTS, without anything installed."""

import importlib.util
import sys
from pathlib import Path


def load_checkout() -> None:
    """Make this folder the package bn_mappo, whatever else is installed. Workers that are spawned do it likewise."""
    folder = Path(__file__).resolve().parent
    sys.path.sort(key=lambda entry: Path(entry or ".").resolve() == folder)  # its modules hide no others
    spec = importlib.util.spec_from_file_location(
        "bn_mappo", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["bn_mappo"] = package
    spec.loader.exec_module(package)


if "bn_mappo" not in sys.modules:
    load_checkout()

if __name__ == "__main__":
    from bn_mappo.cli.entry import main

    sys.exit(main())

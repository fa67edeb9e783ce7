"""Command line of a checkout: python src/plug_in.py ARGUMENTS is bn-mappo plug-in ARGUMENTS."""

import sys

import main  # type: ignore[import-not-found]  # noqa: F401  makes this folder the package bn_mappo

if __name__ == "__main__":
    from bn_mappo.cli.entry import main as run

    sys.exit(run(["plug-in", *sys.argv[1:]]))

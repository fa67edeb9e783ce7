"""Run a program that imports `smac` on Skirmish: python -m bn_mappo.envs.exports.as_smac SCRIPT ARGUMENTS.

Nothing of the program is changed: a folder whose package `smac` plays Skirmish comes first on its path, and on that of
the processes that it starts. `--path` prints the folder, for PYTHONPATH.
"""

import os
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "stand_in"
USAGE = "usage: python -m bn_mappo.envs.exports.as_smac SCRIPT ARGUMENTS, or --path"


def run(script: str, arguments: list[str]) -> None:
    """Run the script as Python does, with our `smac`."""
    others = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FOLDER), *others])  # of processes that it starts
    sys.path[0:1] = [str(Path(script).resolve().parent), str(FOLDER)]
    sys.argv = [script, *arguments]
    print("smac: played by Skirmish, bn_mappo's simulator, which is not StarCraft II", file=sys.stderr)
    runpy.run_path(script, run_name="__main__")


def main(arguments: list[str]) -> None:
    """The command line."""
    if arguments == ["--path"]:
        print(FOLDER)
    elif not arguments or not Path(arguments[0]).is_file():
        sys.exit(USAGE if not arguments else f"error: there is no script {arguments[0]}\n{USAGE}")
    else:
        run(arguments[0], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])

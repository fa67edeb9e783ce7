"""What the user has to type: commands are printed the way this program was called."""

import sys
from pathlib import Path


def program(command: str = "") -> str:
    """How a command (empty: training) is called: bn-mappo, python -m bn_mappo, or a script of the checkout."""
    called = Path(sys.argv[0])
    if called.stem == "bn-mappo":
        return f"bn-mappo {command}".strip()
    if called.name == "__main__.py" and called.resolve().parent == Path(__file__).resolve().parents[1]:
        return f"python -m bn_mappo {command}".strip()
    script = command.replace("-", "_") or "main"
    has_script = (Path(__file__).resolve().parents[1] / f"{script}.py").is_file()
    return f"python src/{script}.py" if has_script else f"python src/main.py {command}"

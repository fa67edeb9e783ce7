"""Where a result comes from: the command, the commit, the machine and the libraries."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bn_mappo.core.threads import THREAD_VARIABLES


def provenance() -> dict[str, str]:
    """Entries of a report, each one line."""
    return {
        "command": shlex.join(["python", f"{Path(sys.argv[0]).parent.name}/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "commit": git_commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "hardware": f"{cpu_model()}, {os.cpu_count()} cores visible",
        "threads": ", ".join(f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ)
        or "not set",
        "software": f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.system()}",
    }


def listed(entries: dict[str, str]) -> str:
    """Entries as a Markdown list, commands as code."""
    return "\n".join(
        f"- {name}: `{text}`" if name == "command" else f"- {name}: {text}" for name, text in entries.items()
    )


def git_commit() -> str:
    """The commit of the source, marked if the working tree differs from it; 'unknown' outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + (" with uncommitted changes" if changed else "")


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(["git", *arguments], cwd=here, check=True, capture_output=True, text=True)
    return done.stdout.strip()

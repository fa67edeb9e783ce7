"""Files that are there as a whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: bytes | memoryview | Callable[[BinaryIO], object]) -> Path:
    """Write a file (bytes, or a function that writes to an open file) under a temporary name, then rename it.

    A crash or a full disk leaves the old file, or none, and never half of one; a full disk raises OSError.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return path

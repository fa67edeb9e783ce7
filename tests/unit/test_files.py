"""A file is written as a whole or not at all."""

import errno

import numpy as np
import pytest

from bn_mappo.core import files
from bn_mappo.core.files import write_whole


def test_bytes_and_functions_are_written_and_leave_nothing_else(tmp_path):
    assert write_whole(tmp_path / "a.txt", b"one").read_bytes() == b"one"
    path = write_whole(tmp_path / "b.npz", lambda file: np.savez(file, x=np.arange(3)))
    with np.load(path) as arrays:
        assert arrays["x"].tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.npz"]


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "a.txt", b"old")

    def half(file):
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, half)

    def full(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]

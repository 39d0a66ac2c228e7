from __future__ import annotations

import os

import pytest

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.file_stamp import FileStamp


def test_what_is_unchanged_passes(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    stamp = FileStamp.of(tmp_path / "a")
    (tmp_path / "a").read_bytes()
    stamp.check()


def test_size_time_and_absence_are_noticed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    stamp = FileStamp.of(path)
    os.utime(path, ns=(0, stamp.modified_ns + 1_000_000_000))
    with pytest.raises(InvalidInputError, match="changed since it was opened"):
        stamp.check()
    path.write_bytes(b"123456")
    os.utime(path, ns=(0, stamp.modified_ns))
    with pytest.raises(InvalidInputError, match="4 bytes then, 6 now"):
        stamp.check()
    path.unlink()
    with pytest.raises(MissingFileError, match="gone now"):
        stamp.check()
    with pytest.raises(MissingFileError, match="no file"):
        FileStamp.of(path)

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from sam2_core.errors import StateError, WriteError
from sam2_core.volumes.labels.destination import DestinationLock, removed, replaced, write_errors


def test_a_lock_keeps_another_process_out(tmp_path):
    code = "import sys, filelock; l = filelock.FileLock(sys.argv[1]); l.acquire(); print(1, flush=True); input()"
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "1\n"
    with pytest.raises(StateError, match=r"labels\.tif is being written"):
        DestinationLock(path, "labels.tif")
    holder.communicate("\n")
    lock = DestinationLock(path, "labels.tif")
    lock.release()
    lock.release()
    assert not path.exists()


def test_what_a_failed_write_says():
    said = pytest.raises(WriteError, match=r"a.tif could not be written: No space.*Frame 3 is there\. .*resume=True")
    with said, write_errors("a.tif", lambda: "Frame 3 is there. "):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_takes_the_place_of_another(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    replaced(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.rglob("*")] == ["old", "new"]
    removed(tmp_path / "old")
    removed(tmp_path / "old")
    assert list(tmp_path.iterdir()) == []


def test_a_file_takes_the_place_of_no_folder_with_something_in_it(tmp_path):
    folder, file = tmp_path / "results", tmp_path / "labels.part"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    file.write_text("labels")
    with pytest.raises(OSError, match="results"):
        replaced(file, folder)

    assert (folder / "notes.txt").read_text() == "mine"
    assert file.read_text() == "labels"
    (folder / "notes.txt").unlink()
    replaced(file, folder)
    assert folder.read_text() == "labels"

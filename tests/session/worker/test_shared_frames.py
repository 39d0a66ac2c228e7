"""Memory that two processes see: one writes a frame, the other reads it; nothing is kept where there is no room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import WorkerError
from sam2_core.session.worker import shared_frames
from sam2_core.session.worker.shared_frames import MOST_BYTES, SLOTS, SharedFrames

READER = """
import sys
from pathlib import Path
from sam2_core.session.worker.shared_frames import SharedFrames
shared = SharedFrames(Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3])))
sys.stdout.buffer.write(shared.frame(1).tobytes())
"""


def test_another_process_reads_what_was_written(tmp_path: Path) -> None:
    shared = SharedFrames.create(tmp_path / "frames", (37, 53))
    assert shared is not None
    frames = np.random.default_rng(0).integers(0, 256, (SLOTS, 37, 53, 3)).astype(np.uint8)
    for slot in range(SLOTS):
        shared.frame(slot)[:] = frames[slot]
    done = subprocess.run(
        [sys.executable, "-c", READER, str(shared.path), "37", "53"], capture_output=True, check=True, timeout=120
    )
    assert done.stdout == frames[1].tobytes()
    shared.close()


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_slots_do_not_overlap(tmp_path_factory: pytest.TempPathFactory, height: int, width: int) -> None:
    shared = SharedFrames.create(tmp_path_factory.mktemp("slots") / "frames", (height, width))
    assert shared is not None
    for slot in range(SLOTS):
        shared.frame(slot)[:] = slot + 1
    for slot in range(SLOTS):
        found = shared.frame(slot)
        assert found.shape == (height, width, 3)
        assert (found == slot + 1).all()
    shared.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be deleted there")
def test_without_its_name_it_still_works_and_leaves_nothing(tmp_path: Path) -> None:
    shared = SharedFrames.create(tmp_path / "frames", (8, 8))
    assert shared is not None
    other = SharedFrames(shared.path, (8, 8))
    shared.forget_name()
    assert list(tmp_path.iterdir()) == []
    shared.frame(0)[:] = 7
    assert (other.frame(0) == 7).all()


def test_frames_that_are_too_large_are_not_shared(tmp_path: Path) -> None:
    side = int((MOST_BYTES / SLOTS / 3) ** 0.5) + 1
    assert SharedFrames.create(tmp_path / "frames", (side, side)) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is not reserved there")
def test_a_full_disk_is_noticed_when_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_frames.os, "posix_fallocate", full)
    assert SharedFrames.create(tmp_path / "frames", (8, 8)) is None
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    shared = SharedFrames.create(tmp_path / "frames", (8, 8))
    assert shared is not None
    with pytest.raises(WorkerError, match="slot from 0 to"):
        shared.frame(SLOTS)
    with pytest.raises(WorkerError, match="in place of"):
        SharedFrames(shared.path, (8, 9))
    with pytest.raises(FileNotFoundError):
        SharedFrames(tmp_path / "elsewhere", (8, 8))

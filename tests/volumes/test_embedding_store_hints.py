"""A hint is right or absent."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from sam2_core.volumes.embedding_store_hints import FrameHints
from sam2_core.volumes.embedding_store_key import pixels_digest
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames

LONG_AGO = time.time() - 1000


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def write_tiff(path: Path, pixels: np.ndarray, modified: float = LONG_AGO) -> None:
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "ZYX" if pixels.ndim == 3 else "ZCYX"})
    os.utime(path, (modified, modified))


def noted(folder: Path, stack: FrameStack) -> FrameHints:
    """Hints after every frame was read."""
    hints = FrameHints(folder, stack)
    for index in range(len(stack)):
        hints.set(index, pixels_digest(stack.read(index)), hints.state(index))
    return hints


def test_frames_of_an_unchanged_file_are_known_by_another_reader(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", noise(3, 2, 8, 9))
    with open_frames(tmp_path / "a.tif", channels=[0]) as stack:
        noted(tmp_path / "hints", stack)
        expected = [pixels_digest(frame) for frame in stack]
    with open_frames(tmp_path / "a.tif", channels=[0]) as stack:
        hints = FrameHints(tmp_path / "hints", stack)
        assert [hints.get(index) for index in range(3)] == expected
        assert hints.get(3) is None


def test_another_view_of_the_file_has_hints_of_its_own(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", np.zeros((3, 2, 8, 9), np.uint8))
    with open_frames(tmp_path / "a.tif", channels=[0]) as stack:
        noted(tmp_path / "hints", stack)
    for options in ({"channels": [1]}, {"channels": [1, 0]}, {"channels": [0], "contrast": (0, 9)}):
        with open_frames(tmp_path / "a.tif", **options) as stack:  # type: ignore[arg-type]
            assert FrameHints(tmp_path / "hints", stack).get(0) is None


def test_a_file_that_changed_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, noise(3, 8, 9))
    with open_frames(path) as stack:
        hints = noted(tmp_path / "hints", stack)
        assert hints.get(2) is not None
    write_tiff(path, noise(3, 8, 9, seed=1), modified=LONG_AGO + 1)
    with open_frames(path) as stack:
        hints = FrameHints(tmp_path / "hints", stack)
        assert [hints.get(index) for index in range(3)] == [None] * 3
        hints = noted(tmp_path / "hints", stack)
        assert hints.get(1) == pixels_digest(stack.read(1))
    path.unlink()
    assert hints.get(1) is None


def test_a_file_written_a_moment_ago_is_not_trusted(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", noise(3, 8, 9), modified=time.time())
    with open_frames(tmp_path / "a.tif") as stack:
        assert noted(tmp_path / "hints", stack).get(0) is None


def test_a_file_that_changed_while_it_was_read_has_none(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", noise(3, 8, 9))
    with open_frames(tmp_path / "a.tif") as stack:
        hints = FrameHints(tmp_path / "hints", stack)
        state = hints.state(0)
        digest = pixels_digest(stack.read(0))
        os.utime(tmp_path / "a.tif", (LONG_AGO + 5, LONG_AGO + 5))
        hints.set(0, digest, state)
        assert hints.get(0) is None


def test_each_file_of_a_folder_has_a_hint_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(noise(8, 9, seed=index)).save(folder / f"{index}.png")
        os.utime(folder / f"{index}.png", (LONG_AGO, LONG_AGO))
    hints = noted(tmp_path / "hints", open_frames(folder))
    assert hints.get(1) == pixels_digest(open_frames(folder).read(1))

    os.utime(folder / "1.png", (LONG_AGO + 1, LONG_AGO + 1))
    assert [hints.get(index) is None for index in range(3)] == [False, True, False]
    # a frame less: the others are other frames now
    (folder / "1.png").unlink()
    hints = FrameHints(tmp_path / "hints", open_frames(folder))
    assert [hints.get(index) is None for index in range(2)] == [False, True]


def test_arrays_and_damaged_hint_files_have_none(tmp_path: Path) -> None:
    assert noted(tmp_path / "hints", open_frames(noise(3, 8, 9))).get(0) is None
    assert not (tmp_path / "hints").exists()

    write_tiff(tmp_path / "a.tif", noise(3, 8, 9))
    with open_frames(tmp_path / "a.tif") as stack:
        hints = noted(tmp_path / "hints", stack)
        (file,) = (tmp_path / "hints").iterdir()
        file.write_bytes(file.read_bytes()[:40])
        assert [hints.get(index) is None for index in range(3)] == [False, True, True]
        file.unlink()
        file.mkdir()
        assert hints.get(0) is None
        hints.set(0, pixels_digest(stack.read(0)), hints.state(0))

"""Z-stacks over time in Cell Tracking Challenge folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes.frame_grid import FrameGrid
from sam2_core.volumes.labels import open_label_writer, open_labels

GRID = FrameGrid("tz", (3, 2), (20.0, 2.0))
LABELS = np.zeros((6, 8, 10), np.uint16)
LABELS[0:3, 1:4, 1:4] = 1
LABELS[4:, 1:4, 1:4] = 2


def writer(folder: Path, **options: Any) -> Any:
    options = {"metadata": {"parents": {2: 1}}, **options}
    return open_label_writer(folder, length=6, frame_size=(8, 10), axis="tz", grid=GRID, **options)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [0, 2, 4, 1, 3, 5], [5, 4, 3, 2, 1, 0]])
def test_a_mask_for_each_time_and_one_table(tmp_path: Path, order: list[int]) -> None:
    with writer(tmp_path / "01_RES") as opened:
        for frame in order:
            opened.write(frame, LABELS[frame])
            assert np.array_equal(opened.read(frame), LABELS[frame])
        assert opened.written == frozenset(range(6))

    for time in range(3):
        assert np.array_equal(tifffile.imread(tmp_path / "01_RES" / f"mask00{time}.tif"), LABELS[2 * time :][:2])
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == "1 0 1 0\n2 2 2 1\n"
    with open_labels(tmp_path / "01_RES", axis="z", at={"t": 2}) as labels:
        assert np.array_equal(labels.read(1), LABELS[5])


def test_times_without_a_frame_are_background(tmp_path: Path) -> None:
    with writer(tmp_path / "01_RES") as opened:
        opened.write_window(3, np.ones((2, 2), np.uint16), 4, 5)

    found = [tifffile.imread(tmp_path / "01_RES" / f"mask00{time}.tif") for time in range(3)]
    assert [one.sum() for one in found] == [0, 4, 0]
    assert found[1][1, 4:6, 5:7].all()


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    with writer(tmp_path / "01_RES") as opened:
        opened.write(0, LABELS[0])
    with pytest.raises(DestinationExistsError):
        writer(tmp_path / "01_RES")
    with pytest.raises(InvalidInputError, match="overwrite"):
        writer(tmp_path / "01_RES", resume=True)
    with writer(tmp_path / "01_RES", overwrite=True) as opened:
        opened.write(5, LABELS[5])
    assert tifffile.imread(tmp_path / "01_RES" / "mask000.tif").max() == 0


def test_nothing_is_left_of_what_is_replaced(tmp_path: Path) -> None:
    """Objects that are not there any more, and times beyond the last."""
    folder = tmp_path / "01_RES"
    with writer(folder, metadata={"parents": {7: 5}}) as opened:
        for frame in range(6):
            opened.write(frame, np.where(LABELS[frame] == 0, 5 if frame < 2 else 7, LABELS[frame]).astype(np.uint16))
    (folder / "mask003.tif").write_bytes((folder / "mask002.tif").read_bytes())
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError):
        writer(folder, overwrite=True, metadata={"parents": {2: 2}})
    assert (folder / "mask003.tif").exists(), "what cannot be written replaces nothing"

    with writer(folder, overwrite=True) as opened:
        for frame in range(6):
            opened.write(frame, LABELS[frame])

    assert sorted(path.name for path in folder.iterdir() if path.suffix in (".tif", ".txt")) == [
        "mask000.tif",
        "mask001.tif",
        "mask002.tif",
        "notes.txt",
        "res_track.txt",
    ]
    assert (folder / "res_track.txt").read_text() == "1 0 1 0\n2 2 2 1\n"


def test_ids_have_16_bits(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="uint16"):
        writer(tmp_path / "01_RES", dtype="uint32")
    assert not list(tmp_path.rglob("*.tif"))


@pytest.mark.parametrize("grid", [FrameGrid("tz", (3, 3)), FrameGrid("ty", (3, 2))])
def test_a_grid_of_other_frames(tmp_path: Path, grid: FrameGrid) -> None:
    options: dict[str, Any] = {"length": 6, "frame_size": (8, 10), "axis": grid.axes, "grid": grid}
    if grid.axes == "tz":
        with pytest.raises(InvalidInputError, match="grid"):
            open_label_writer(tmp_path / "a.tif", **options)
    else:
        with open_label_writer(tmp_path / "a.tif", **options) as opened:
            assert opened.axis == "frame", "no format knows such axes"
            opened.write(0, LABELS[0])

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_label_writer, open_labels
from tests.volumes.labels.random_labels import painted_stack


def write_all(path, labels, **options):
    with open_label_writer(path, length=len(labels), frame_size=labels.shape[1:], format="png", **options) as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)


def test_davis_layout(tmp_path):
    labels = painted_stack(ids=(1, 2, 255))
    write_all(tmp_path / "masks", labels)
    names = sorted(path.name for path in (tmp_path / "masks").glob("*.png"))
    assert names == ["00000.png", "00001.png", "00002.png", "00003.png"]
    with Image.open(tmp_path / "masks/00001.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), labels[1])
        # the palette of DAVIS
        assert picture.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def test_sixteen_bits(tmp_path):
    labels = painted_stack(ids=(1, 2, 60000))
    write_all(tmp_path / "masks", labels, dtype="uint16")
    with Image.open(tmp_path / "masks/00001.png") as picture:
        assert np.array_equal(np.asarray(picture), labels[1])
    with open_labels(tmp_path / "masks") as stack:
        assert stack.dtype == np.uint16


def test_too_many_objects(tmp_path):
    with open_label_writer(tmp_path / "masks", length=1, frame_size=(4, 5), format="png") as writer:
        with pytest.raises(InvalidInputError, match=r'256 does not fit.*up to 255.*dtype="uint16"'):
            writer.write(0, np.full((4, 5), 256))
    with pytest.raises(InvalidInputError, match="choose ome-zarr"):
        open_label_writer(tmp_path / "b", length=1, frame_size=(4, 5), format="png", dtype="uint32")


def test_a_folder_of_another_program(tmp_path):
    labels = painted_stack(11, ids=(1, 2, 3)).astype(np.uint8)
    for index, frame in enumerate(labels):
        Image.fromarray(frame).save(tmp_path / f"mask{index}.png")
    with open_labels(tmp_path) as stack:
        assert stack.axis == "frame"
        assert np.array_equal(np.stack(list(stack)), labels)
    Image.fromarray(np.zeros((7, 7), np.uint8)).save(tmp_path / "mask3.png")
    with open_labels(tmp_path) as stack, pytest.raises(InvalidInputError, match="one size"):
        stack.read(3)


def test_what_is_no_folder_of_labels(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no PNGs"):
        open_labels(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InvalidInputError, match="colours"):
        open_labels(tmp_path)
    (tmp_path / "a.png").write_bytes(b"\x89PNG half")
    with pytest.raises(InvalidInputError, match="damaged"):
        open_labels(tmp_path)


def test_a_folder_with_something_else_is_not_replaced(tmp_path):
    write_all(tmp_path / "masks", painted_stack(ids=(1,)))
    (tmp_path / "masks/notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("masks", "file"):
        with pytest.raises(InvalidInputError, match=r"not replaced|is a file"):
            write_all(tmp_path / name, painted_stack(ids=(1,)), overwrite=True)
    assert (tmp_path / "masks/notes.txt").read_text() == "mine"
    assert len(list((tmp_path / "masks").glob("*.png"))) == 4

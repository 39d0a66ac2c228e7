from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, MissingFileError, WriteError
from sam2_core.volumes.labels import FORMATS, open_label_writer, open_labels

STACK = {"length": 2, "frame_size": (3, 4)}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_may_be_named(tmp_path, name):
    with open_label_writer(tmp_path / "a", format=name, **STACK) as writer:
        writer.write(0, np.ones((3, 4), int))
    if name in ("tiff", "coco"):  # their files say nothing by their names
        with pytest.raises(InvalidInputError, match="format="):
            open_labels(tmp_path / "a")
    with open_labels(tmp_path / "a", name) as stack:
        assert stack.read(0).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.tif", {"at": {"t": 1}}, "no further axes"),
        ("a.tif", {"dtype": "int64"}, "dtype must be"),
        ("a.tif", {"format": "gif"}, "no label format"),
        ("a", {"format": "png", "dtype": "uint32"}, "holds uint8, uint16"),
        ("a.tif", {"axis": "x"}, "axis must be"),
        ("a.zarr", {"at": {"t": 1}}, "no image in the store"),
    ],
)
def test_nothing_is_made_of_what_makes_no_sense(tmp_path, name, options, message):
    with pytest.raises(InvalidInputError, match=message):
        open_label_writer(tmp_path / name, **STACK, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("file/a.tif", "file/a.json", "file/a.zarr"):
        with pytest.raises(WriteError, match="could not be written"):
            open_label_writer(tmp_path / name, **STACK)


def test_folders_are_made(tmp_path):
    with open_label_writer(tmp_path / "x/y/a.tif", **STACK) as writer:
        writer.write(1, np.ones((3, 4), bool))
    assert open_labels(tmp_path / "x/y/a.tif").read(1).all()


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a.json", "a.zip", "folder"])
def test_what_is_not_there(tmp_path, name):
    with pytest.raises(MissingFileError):
        open_labels(tmp_path / name)

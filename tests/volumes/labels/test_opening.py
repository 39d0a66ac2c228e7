from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.errors import DestinationExistsError, InvalidInputError, InvalidTypeError, MissingFileError, WriteError
from sam2_core.volumes.labels import open_label_writer, open_labels, part_writer
from sam2_core.volumes.labels.built_in_formats import FORMATS

STACK = {"length": 2, "frame_size": (3, 4)}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_may_be_named(tmp_path, name):
    with open_label_writer(tmp_path / "a", format=name, **STACK) as writer:
        writer.write(0, np.ones((3, 4), int))
    if name == "coco":  # the file says nothing by its name, nor is it a picture
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


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "ome-zarr"])
def test_files_are_not_behind_urls(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: open_label_writer("memory://somewhere/a", format=name, **STACK),
        lambda: open_labels("memory://somewhere/a", name),
    ):
        with pytest.raises(InvalidInputError, match="behind a URL are OME-Zarr"):
            call()
    assert list(tmp_path.iterdir()) == []  # no folder called "memory:"


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a.json"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metadata": {"score": np.float32(1)}}, "JSON"),
        ({"metadata": "tiny"}, "mapping"),
        ({"at": 3}, "at must map"),
        ({"at": {"t": 1.5}}, "at must map"),
        ({"spacing": "abc"}, "spacing must be"),
    ],
)
def test_arguments_of_the_wrong_type(tmp_path, name, options, message):
    with pytest.raises(InvalidTypeError, match=message):
        open_label_writer(tmp_path / name, **STACK, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_destination_that_is_no_path():
    with pytest.raises(InvalidTypeError, match="path or a URL"):
        open_label_writer(None, **STACK)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("given", "unit"), [("um", "micrometer"), ("mm", "millimeter"), ("Å", "angstrom")])
def test_the_unit_comes_back_under_one_name(tmp_path, name, given, unit):
    for path in ("a", "a.ome.tif") if name == "tiff" else ("a",):
        with open_label_writer(tmp_path / path, format=name, spacing=(2, 0.5, 0.25), unit=given, **STACK) as writer:
            writer.write(0, np.ones((3, 4), int))
        with open_labels(tmp_path / path, name) as stack:
            assert (stack.unit, stack.spacing) == (unit, (2.0, 0.5, 0.25))


def make_photo(path):
    tifffile.imwrite(path, np.zeros((3, 4, 3), np.uint8), photometric="rgb")


def make_intensities(path):
    tifffile.imwrite(path, np.full((2, 3, 4), 0.5, np.float32), photometric="minisblack")


def make_text(path):
    path.write_text(json.dumps({"learning_rate": 1}))


def make_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.txt", "years of work")
        archive.writestr("cell.roi", "")


def make_photos(path):
    path.mkdir()
    Image.new("RGB", (4, 3)).save(path / "00000.png")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.tif", make_photo),
        ("a.tif", make_intensities),
        ("a.tif", make_text),
        ("a.tif", make_photos),
        ("a.json", make_text),
        ("a.json", make_photos),
        ("a.zip", make_zip),
        ("a.zip", make_text),
        ("a", make_photos),
    ],
)
def test_what_cannot_be_labels_is_not_overwritten(tmp_path, name, make):
    make(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InvalidInputError, match="another"):
        open_label_writer(tmp_path / name, overwrite=True, format=None if "." in name else "png", **STACK)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_zip_with_more_than_rois_is_not_overwritten(tmp_path):
    with open_label_writer(tmp_path / "a.zip", **STACK) as writer:
        writer.write(0, np.ones((3, 4), int))
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("thesis.txt", "years of work")
    with pytest.raises(InvalidInputError, match=r"thesis\.txt"):
        open_label_writer(tmp_path / "a.zip", overwrite=True, **STACK)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("file/a.tif", "file/a.json", "file/a.zarr"):
        with pytest.raises(WriteError, match="could not be written"):
            open_label_writer(tmp_path / name, **STACK)


@pytest.mark.parametrize("name", ["a.tif", "a.json", "a.zip", "01_RES"])
def test_another_process_that_was_quicker(tmp_path, monkeypatch, name):
    acquire = part_writer.DestinationLock.__init__

    def slow(self, path, subject, wait=0.0):
        monkeypatch.undo()
        with open_label_writer(tmp_path / name, axis="t", **STACK) as writer:  # between the look and the lock
            writer.write(0, np.ones((3, 4), int))
        acquire(self, path, subject, wait)

    monkeypatch.setattr(part_writer.DestinationLock, "__init__", slow)
    with pytest.raises(DestinationExistsError, match="exists already"):
        open_label_writer(tmp_path / name, axis="t", **STACK)
    assert open_labels(tmp_path / name).read(0).all()
    open_label_writer(tmp_path / name, axis="t", overwrite=True, **STACK).close()  # nothing holds the lock


def test_folders_are_made(tmp_path):
    with open_label_writer(tmp_path / "x/y/a.tif", **STACK) as writer:
        writer.write(1, np.ones((3, 4), bool))
    assert open_labels(tmp_path / "x/y/a.tif").read(1).all()


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a.json", "a.zip", "folder"])
def test_what_is_not_there(tmp_path, name):
    with pytest.raises(MissingFileError):
        open_labels(tmp_path / name)

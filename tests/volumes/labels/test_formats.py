from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.labels import open_label_writer
from sam2_core.volumes.labels.built_in_formats import FORMATS
from sam2_core.volumes.labels.formats import format_named, format_of_destination, format_of_source
from tests.volumes.labels.random_labels import DESTINATIONS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "tiff"),
        ("a.OME.TIFF", "tiff"),
        ("a.btf", "tiff"),
        ("a.zarr", "ome-zarr"),
        ("a.ome.zarr/", "ome-zarr"),
        ("a.zarr/labels/b", "ome-zarr"),
        ("s3://bucket/a.zarr/labels/b", "ome-zarr"),
        ("a.json", "coco"),
        ("a.zip", "imagej-roi"),
        ("data/01_RES", "ctc"),
        ("01_GT/TRA", "ctc"),
    ],
)
def test_the_name_says_it(name, expected):
    assert format_of_destination(name).contribution.name == expected


@pytest.mark.parametrize("name", ["a", "a.npy", "a.mp4"])
def test_the_name_does_not_say_it(name):
    with pytest.raises(InvalidInputError, match="format=") as caught:
        format_of_destination(name)
    assert all(one in str(caught.value) for one in FORMATS)
    with pytest.raises(InvalidInputError, match="imagej-roi"):
        format_named(name)


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_what_was_written_is_recognised(tmp_path, kind):
    name, needed = DESTINATIONS[kind]
    with open_label_writer(tmp_path / name, **{"length": 1, "frame_size": (3, 4), **needed}) as writer:
        writer.write(0, [[0, 0, 0, 1]] * 3)
    found = format_of_source(str(tmp_path / name))
    assert found is not None
    assert found.contribution.name == writer_format(kind)


def writer_format(kind):
    return {"ome-tiff": "tiff"}.get(kind, kind.split()[0])


def test_what_is_not_there(tmp_path):
    with pytest.raises(MissingFileError, match="spelling"):
        format_of_source(str(tmp_path / "a.tif"))
    writer = open_label_writer(tmp_path / "a.tif", length=1, frame_size=(3, 4))
    with pytest.raises(MissingFileError, match=r"a\.tif\.part\.tif is unfinished.*resume=True"):
        format_of_source(str(tmp_path / "a.tif"))
    writer.discard()

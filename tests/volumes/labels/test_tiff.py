from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError
from sam2_core.volumes import open_frames
from sam2_core.volumes.labels import open_label_writer, open_labels, tiff_description
from tests.volumes.labels.random_labels import painted_stack


def write_all(path, labels, **options):
    with open_label_writer(path, length=len(labels), frame_size=labels.shape[1:], **options) as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)


@pytest.mark.parametrize("axis", ["z", "t"])
def test_what_imagej_reads(tmp_path, axis):
    labels = painted_stack()
    path = tmp_path / "labels.tif"
    with open_label_writer(
        path, length=4, frame_size=(40, 50), axis=axis, spacing=(2.5, 0.1083, 0.2), unit="micrometer", metadata={"a": 1}
    ) as writer:
        for index in (3, 0, 2, 1):
            writer.write(index, labels[index])
        assert not path.exists()
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        assert file.series[0].axes == f"{axis.upper()}YX"
        assert file.series[0].dtype == np.uint16
        assert np.array_equal(file.asarray(), labels)
    assert np.array_equal(open_frames(path).read_raw(3)[..., 0], labels[3])
    with open_labels(path) as stack:
        assert stack.axis == axis
        assert stack.spacing == pytest.approx((2.5, 0.1083, 0.2))
        assert stack.unit == "micrometer"
        assert stack.metadata == {"a": 1}
        assert stack.written == {0, 1, 2, 3}


@pytest.mark.parametrize(("name", "dtype"), [("a.ome.tif", "uint16"), ("a.tif", "uint32"), ("a.ome.tif", "uint8")])
def test_what_ome_readers_read(tmp_path, name, dtype):
    labels = painted_stack(ids=(1, 7, 200))
    write_all(
        tmp_path / name, labels, dtype=dtype, spacing=(2.5, 0.1, 0.2), unit="micrometer", metadata={"model": "tiny"}
    )
    with tifffile.TiffFile(tmp_path / name) as file:
        assert file.is_ome
        assert file.series[0].axes == "ZYX"
        assert file.series[0].dtype == dtype
        assert np.array_equal(file.asarray(), labels)
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert (pixels["PhysicalSizeZ"], pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (2.5, 0.1, 0.2)
    with open_labels(tmp_path / name) as stack:
        assert (stack.spacing, stack.unit, stack.metadata) == ((2.5, 0.1, 0.2), "micrometer", {"model": "tiny"})


def test_a_large_one_is_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_description, "_CLASSIC_BYTES", 4000)
    labels = painted_stack()
    write_all(tmp_path / "a.tif", labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        assert file.series[0].axes == "ZYX"
        assert np.array_equal(file.asarray(), labels)


def test_a_single_picture(tmp_path):
    labels = np.arange(12).reshape(1, 3, 4)
    write_all(tmp_path / "a.tif", labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "YX"
        assert np.array_equal(file.asarray(), labels[0])


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_frames_nobody_wrote_are_named_in_the_file(tmp_path, name):
    labels = painted_stack()
    with open_label_writer(tmp_path / name, length=4, frame_size=(40, 50)) as writer:
        writer.write(2, labels[2])
    with tifffile.TiffFile(tmp_path / name) as file:
        assert file.pages[0].software == "sam2-lab; frames not written: 0-1,3"
        assert np.array_equal(file.asarray()[2], labels[2])
    with open_labels(tmp_path / name) as stack:
        assert stack.written == {2}


@pytest.mark.parametrize("dtype", [bool, "uint8", "int32", "float32", ">u2"])
def test_label_tiffs_of_other_programs(tmp_path, dtype):
    labels = painted_stack(ids=(1, 1, 1)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", labels, compression="zlib", photometric="minisblack")
    with open_labels(tmp_path / "a.tif") as stack:
        assert stack.dtype.kind == "u"
        assert np.array_equal(np.stack(list(stack)), labels)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((2, 8, 9), -1, np.int16), "negative"),
        (np.full((2, 8, 9), 0.5, np.float32), "fractions"),
        (np.zeros((8, 9, 3), np.uint8), "channels"),
    ],
)
def test_what_is_no_label_image(tmp_path, pixels, message):
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(InvalidInputError, match=message):
        open_labels(tmp_path / "a.tif").read(0)


def test_a_damaged_part_is_not_continued(tmp_path):
    labels = painted_stack()
    for damage in ("a.tif.part.tif", "a.tif.part.frames"):
        writer = open_label_writer(tmp_path / "a.tif", length=4, frame_size=(40, 50), overwrite=True)
        writer.write(0, labels[0])
        writer.suspend()
        part = tmp_path / damage
        part.write_bytes(part.read_bytes()[: 5000 if damage.endswith("tif") else 20])
        with pytest.raises(InvalidInputError, match="overwrite"):
            open_label_writer(tmp_path / "a.tif", length=4, frame_size=(40, 50), resume=True)
    write_all(tmp_path / "a.tif", labels, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import roifile
from skimage.draw import polygon2mask

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_label_writer, open_labels
from sam2_core.volumes.labels.imagej_roi import object_boxes
from tests.volumes.labels.random_labels import painted_stack


def write_all(path, labels, **options):
    with open_label_writer(path, length=len(labels), frame_size=labels.shape[1:], **options) as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)


def test_what_roifile_reads(tmp_path):
    labels = painted_stack()
    write_all(tmp_path / "a.zip", labels, metadata={"model": "tiny"})
    painted = np.zeros_like(labels)
    kinds = set()
    for roi in roifile.ImagejRoi.fromfile(tmp_path / "a.zip"):
        object_id, position = (int(part) for part in roi.name.split("-"))
        assert roi.position == position
        kinds.add(roi.roitype)
        mask = np.zeros(labels.shape[1:], bool)
        for path in roi.coordinates(multi=True):
            mask ^= polygon2mask(mask.shape, np.asarray(path)[:, ::-1] - 0.5)
        ys, xs = np.nonzero(mask)
        assert (roi.top, roi.left, roi.bottom, roi.right) == (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1)
        painted[position - 1][mask] = object_id
    assert np.array_equal(painted, labels)
    # simple outlines as traced ones, rings and parts as composites
    assert kinds == {roifile.ROI_TYPE.TRACED, roifile.ROI_TYPE.RECT}
    with open_labels(tmp_path / "a.zip") as stack:
        assert stack.metadata == {"model": "tiny"}


def test_saved_again_by_imagej(tmp_path):
    labels = painted_stack()
    write_all(tmp_path / "a.zip", labels)
    # ImageJ keeps names and positions but not the comment
    roifile.roiwrite(tmp_path / "b.zip", roifile.ImagejRoi.fromfile(tmp_path / "a.zip"))
    with open_labels(tmp_path / "b.zip", length=4, frame_size=(40, 50)) as stack:
        assert np.array_equal(np.stack(list(stack)), labels)


def test_rois_drawn_by_hand(tmp_path):
    polygon = roifile.ImagejRoi.frompoints(np.array([[2.5, 1.0], [9.0, 2.0], [6.0, 8.5]], np.float32), position=1)
    box = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, top=3, left=10, bottom=6, right=14)
    oval = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, top=8, left=8, bottom=14, right=16)
    for name, roi in zip("abc", (polygon, box, oval), strict=True):
        roi.name = name
    roifile.roiwrite(tmp_path / "a.zip", [polygon, box, oval])
    with open_labels(tmp_path / "a.zip") as stack:
        assert (len(stack), stack.frame_size) == (2, (14, 16))
        first, second = stack
    assert np.unique(second).tolist() == [0, 1]
    assert np.array_equal(second == 1, polygon2mask((14, 16), np.array([[1.0, 2.5], [2.0, 9.0], [8.5, 6.0]]) - 0.5))
    assert (first == 2).sum() == 12
    assert (first[3:6, 10:14] == 2).all()
    # a polygon of 33 corners is a little smaller than the oval it stands for
    assert (first == 3).sum() == pytest.approx(np.pi * 3 * 4, abs=4)


def test_what_cannot_be_read(tmp_path):
    line = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.LINE, bottom=4, right=4)
    line.name = "line"
    roifile.roiwrite(tmp_path / "line.zip", [line])
    with open_labels(tmp_path / "line.zip") as stack, pytest.raises(InvalidInputError, match="of type line"):
        stack.read(0)
    (tmp_path / "no.zip").write_bytes(b"PK half")
    with pytest.raises(InvalidInputError, match="not a zip"):
        open_labels(tmp_path / "no.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(InvalidInputError, match="no ROIs"):
        open_labels(tmp_path / "empty.zip")
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        archive.writestr("a.roi", b"Iout")
    with pytest.raises(InvalidInputError, match="no readable ROI"):
        open_labels(tmp_path / "half.zip")
    line.roitype = roifile.ROI_TYPE.RECT
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("00001-00001.roi", line.tobytes())
        archive.writestr("copy/00001-00001.roi", line.tobytes())
    with pytest.raises(InvalidInputError, match="twice"):
        open_labels(tmp_path / "twice.zip")


def test_an_object_wider_than_sixteen_bits(tmp_path):
    labels = np.zeros((1, 3, 40_000), int)
    labels[0, 1, 5:39_990] = 7
    labels[0, 0, 39_999] = 3
    write_all(tmp_path / "a.zip", labels)
    with open_labels(tmp_path / "a.zip") as stack:
        assert np.array_equal(stack.read(0), labels[0])
    with pytest.raises(InvalidInputError, match="60535"):
        open_label_writer(tmp_path / "b.zip", length=1, frame_size=(3, 60_536))


@pytest.mark.parametrize("factor", [1, 2**23])
def test_boxes_of_narrow_and_wide_ids(factor):
    labels = (painted_stack()[0] * factor).astype(np.uint32)
    boxes = object_boxes(labels)
    assert [object_id for object_id, _ in boxes] == [1 * factor, 7 * factor, 300 * factor]
    for object_id, box in boxes:
        ys, xs = np.nonzero(labels == object_id)
        assert box == (slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1))
    assert object_boxes(labels * 0) == []

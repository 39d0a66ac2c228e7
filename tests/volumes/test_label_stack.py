from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError
from sam2_core.volumes import LabelStackWriter, open_frames


def test_frames_in_any_order_read_back_with_axes(tmp_path):
    labels = np.random.default_rng(0).integers(0, 40, (5, 12, 9)).astype(np.int64)
    path = tmp_path / "labels.tif"
    with LabelStackWriter(path, 5, (12, 9), axis="t") as writer:
        for index in (4, 0, 2, 3):
            writer.write(index, labels[index])
        assert not path.exists()
    labels[1] = 0
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        assert file.series[0].axes == "TYX"
        assert file.series[0].dtype == np.uint16
        assert np.array_equal(file.asarray(), labels)
    assert np.array_equal(open_frames(path).read_raw(3)[..., 0], labels[3])
    assert [file.name for file in tmp_path.iterdir()] == ["labels.tif"]


def test_a_single_picture(tmp_path):
    labels = np.arange(12).reshape(3, 4)
    with LabelStackWriter(tmp_path / "a.tif", 1, (3, 4)) as writer:
        writer.write(0, labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "YX"
        assert np.array_equal(file.asarray(), labels)


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), LabelStackWriter(tmp_path / "a.tif", 2, (3, 4)):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(tmp_path):
    with LabelStackWriter(tmp_path / "a.tif", 2, (3, 4)) as writer:
        for index, labels in [(0, np.zeros((4, 3), int)), (2, np.zeros((3, 4), int)), (0, np.full((3, 4), 65536))]:
            with pytest.raises(InvalidInputError):
                writer.write(index, labels)

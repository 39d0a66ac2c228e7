from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import convert_labels, open_label_writer, open_labels
from sam2_core.volumes.labels.tiff import TiffLabels
from sam2_core.volumes.labels.volume_labels import VolumeLabels
from tests.volumes.labels.random_labels import painted_stack


def test_a_folder_of_masks_as_cellpose_saves_them(tmp_path):
    labels = painted_stack(11).astype(np.uint16)
    (tmp_path / "masks").mkdir()
    for index, frame in enumerate(labels):
        tifffile.imwrite(tmp_path / f"masks/frame{index}_cp_masks.tif", frame)
    with open_labels(tmp_path / "masks") as stack:
        assert np.array_equal(np.stack(list(stack)), labels)  # frame10 comes last
        assert stack.dtype == labels.dtype
    convert_labels(tmp_path / "masks", tmp_path / "masks.zarr")
    with open_labels(tmp_path / "masks.zarr") as stack:
        assert np.array_equal(np.stack(list(stack)), labels)


def test_an_image_under_a_name_that_no_label_format_claims(tmp_path):
    labels = painted_stack().astype(np.uint16)
    tifffile.imwrite(tmp_path / "labels.lsm", labels, metadata={"axes": "ZYX"}, ome=True)
    with open_labels(tmp_path / "labels.lsm") as stack:
        assert type(stack) is VolumeLabels
        assert np.array_equal(np.stack(list(stack)), labels)


def test_a_folder_of_pngs_or_of_nothing_is_still_one_of_pngs(tmp_path):
    with open_label_writer(tmp_path / "png", length=2, frame_size=(3, 4), format="png") as writer:
        writer.write(0, np.ones((3, 4), int))
    with open_labels(tmp_path / "png") as stack:
        assert stack.read(0).all()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="holds no PNGs"):
        open_labels(tmp_path / "empty")


def test_what_a_tiff_says_beside_its_pixels_is_kept(tmp_path):
    with open_label_writer(
        tmp_path / "a.tif", length=3, frame_size=(3, 4), spacing=(2.0, 0.5, 0.5), unit="um", metadata={"model": "m"}
    ) as writer:
        writer.write(1, np.ones((3, 4), int))
    with open_labels(tmp_path / "a.tif") as stack:
        assert type(stack) is TiffLabels
        assert (stack.written, stack.spacing, stack.metadata) == ({1}, (2.0, 0.5, 0.5), {"model": "m"})


def test_pictures_and_other_things_are_no_labels(tmp_path):
    (tmp_path / "colours").mkdir()
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "colours/a.bmp")
    with pytest.raises(InvalidInputError, match="3 channels; a label image has one"):
        open_labels(tmp_path / "colours")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"notes\.txt is not of a kind that can be read"):
        open_labels(tmp_path / "notes.txt")

from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_labels
from tests.volumes.labels.random_labels import painted_stack
from tests.volumes.labels.test_ome_zarr import make_image, write_all


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_with_one_label_image_is_enough(tmp_path, version):
    image = make_image(tmp_path / "image.zarr", version=version)
    with pytest.raises(InvalidInputError, match="no label images"):
        open_labels(image)
    labels = painted_stack()
    write_all(image / "labels/cells", labels)
    for source in (image, image / "labels", image / "labels/cells", str(image)):
        assert np.array_equal(np.stack(list(open_labels(source))), labels)
    shutil.rmtree(image / "labels/cells")
    with pytest.raises(InvalidInputError, match="not there"):
        open_labels(image)


def test_axes_in_another_order_with_a_channel(tmp_path):
    labels = painted_stack(3)
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("0", data=labels.transpose(2, 0, 1)[:, None].astype(np.int16))
    axes = [{"name": letter} for letter in "xczy"]
    group.attrs["ome"] = {
        "version": "0.5",
        "image-label": {},
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
    }
    with open_labels(tmp_path / "a.zarr") as stack:
        assert (stack.axis, stack.dtype) == ("z", np.uint16)
        assert np.array_equal(np.stack(list(stack)), labels)


def test_a_damaged_chunk(tmp_path):
    write_all(tmp_path / "a.zarr", painted_stack())
    chunk = next(path for path in (tmp_path / "a.zarr/0/c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-9] + b"nine byte")
    with open_labels(tmp_path / "a.zarr") as stack, pytest.raises(InvalidInputError, match="damaged"):
        list(stack)


def test_what_is_no_label_image(tmp_path):
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(InvalidInputError, match="no zarr group"):
        open_labels(tmp_path / "folder.zarr")
    group = zarr.create_group(tmp_path / "a.zarr", attributes={"ome": {"version": "0.5", "image-label": {}}})
    with pytest.raises(InvalidInputError, match="no multiscale"):
        open_labels(tmp_path / "a.zarr")
    axes = [{"name": letter} for letter in "zyx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "image-label": {},
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
    }
    with pytest.raises(InvalidInputError, match="lacks its array 0"):
        open_labels(tmp_path / "a.zarr")
    with pytest.raises(InvalidInputError, match="no position"):
        open_labels(make_labels(tmp_path), at={"q": 1})


def make_labels(folder):
    write_all(folder / "b.zarr", painted_stack())
    return folder / "b.zarr"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_plain_zarr_array(tmp_path, zarr_format):
    labels = painted_stack()
    zarr.create_array(tmp_path / "a.zarr", data=labels.astype(np.uint16), chunks=(1, 20, 20), zarr_format=zarr_format)
    with open_labels(tmp_path / "a.zarr", axis="z") as stack:
        assert (len(stack), stack.axis) == (len(labels), "z")
        for index, frame in enumerate(labels):
            assert np.array_equal(stack.read(index), frame)
    with pytest.raises(InvalidInputError, match="no place"):
        open_labels(tmp_path / "a.zarr", at={"t": 1})

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.volumes.tiff_scale import TiffScale, _from_lsm

STACK = np.zeros((3, 8, 9), np.uint8)


def scale_of(path, **options):
    tifffile.imwrite(path, STACK, **options)
    with tifffile.TiffFile(path) as file:
        return TiffScale.of(file)


def test_imagej_frames_per_second(tmp_path):
    found = scale_of(tmp_path / "a.tif", imagej=True, metadata={"axes": "TYX", "fps": 4.0})
    assert found.scale == {"t": 0.25}
    assert found.units == {"t": "second"}


def test_imagej_without_a_unit_has_no_physical_size_in_the_plane(tmp_path):
    found = scale_of(tmp_path / "a.tif", imagej=True, resolution=(72, 72), metadata={"axes": "ZYX", "spacing": -3.0})
    assert found.scale == {"z": 3.0}
    assert found.units == {}


def test_defaults_of_the_ome_schema(tmp_path):
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}
    found = scale_of(tmp_path / "a.ome.tif", metadata=metadata)
    assert found.scale == {"y": 0.2, "x": 0.1}
    assert found.units == {"y": "µm", "x": "µm"}
    assert found.channel_names == ()


def test_metadata_that_are_damaged_are_no_obstacle(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], description='<OME xmlns="x"><Image></OME>', metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert TiffScale.of(file) == TiffScale()


def test_lsm_counts_in_metres():
    found = _from_lsm({"VoxelSizeX": 1e-7, "VoxelSizeY": 1e-7, "VoxelSizeZ": 5e-7, "TimeIntervall": 2.0})
    assert found.scale == {"z": pytest.approx(0.5), "y": pytest.approx(0.1), "x": pytest.approx(0.1), "t": 2.0}

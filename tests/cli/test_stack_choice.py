from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import zarr

from sam2_core.cli.stack_choice import StackChoice, geometry_of
from sam2_core.errors import InvalidInputError, MissingFileError


@pytest.fixture
def hyperstack(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 4, 20, 30)).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, pixels, imagej=True, metadata={"axes": "TZYX", "spacing": 2.0, "unit": "um"}, resolution=(2, 2)
    )
    return str(path), pixels


def test_frames_along_any_axis(hyperstack):
    path, pixels = hyperstack
    for options, expected in [
        ({"axis": "z", "at": ["t=1"]}, pixels[1]),
        ({"axis": "t", "at": ["z=3"]}, pixels[:, 3]),
        ({"axis": "y", "at": ["t=2"], "plane": "zx"}, pixels[2].transpose(1, 0, 2)),
    ]:
        with StackChoice.parsed(**options).open(path) as stack:
            assert np.array_equal([stack.read(index)[..., 0] for index in range(len(stack))], expected)
            assert stack.axis == options["axis"]


def test_scale_is_known_or_given(hyperstack):
    path, _ = hyperstack
    with StackChoice.parsed(axis="z", at=["t=0"]).open(path) as stack:
        assert geometry_of(stack).spacing == (2.0, 0.5, 0.5)
    with StackChoice.parsed(axis="z", at=["t=0"], scale="z=3, x=0.25").open(path) as stack:
        geometry = geometry_of(stack)
        assert geometry.spacing == (3.0, 0.5, 0.25)
        assert geometry.is_scaled


def test_pages_without_a_name_are_what_they_are_said_to_be(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 20, 30), np.uint8), photometric="minisblack")
    with StackChoice.parsed(axis="z").open(str(tmp_path / "a.tif")) as stack:
        assert (stack.axis, len(stack)) == ("z", 5)
    with StackChoice.parsed().open(str(tmp_path / "a.tif")) as stack:
        assert stack.axis == "frame"


@pytest.mark.parametrize("scale", ["", "2", "z=", "z=a", "1=2"])
def test_scales_that_cannot_be_understood(scale):
    with pytest.raises(InvalidInputError, match="--scale"):
        StackChoice.parsed(scale=scale)


def test_it_can_be_written_down():
    choice = StackChoice.parsed(axis="z", at=["t=1"], channels="0, dapi", contrast="1,2", scale="z=2")
    assert json.loads(json.dumps(choice.as_dict())) == choice.as_dict()
    assert choice.channels == (0, "dapi")


def test_an_image_among_several(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 5, 20, 30)).astype(np.uint8)
    group = zarr.create_group(tmp_path / "plate.zarr")
    for number, name in enumerate(("0", "well")):
        group.create_array(name, data=pixels[number], dimension_names=("z", "y", "x"))
    path = str(tmp_path / "plate.zarr")
    with pytest.raises(InvalidInputError, match="It holds 0, well: choose one with series="):
        StackChoice.parsed().open(path)
    for number, series in enumerate(("0", "well")):
        for more in ({}, {"scale": "z=2"}):
            with StackChoice.parsed(series=series, **more).open(path) as stack:
                assert np.array_equal(stack.read(3)[..., 0], pixels[number, 3])
    with pytest.raises(InvalidInputError, match="no item 'none'"):
        StackChoice.parsed(series="none").open(path)


@pytest.mark.parametrize("axes", [None, "zyx"])
def test_a_missing_chunk_is_an_error_where_that_is_wanted(tmp_path, axes):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(3, 8, 8), chunks=(1, 8, 8), dtype="u1")
    array[:] = 7
    (tmp_path / "a.zarr" / "c" / "1" / "0" / "0").unlink()
    with StackChoice.parsed(axes=axes).open(str(tmp_path / "a.zarr")) as stack:
        assert not stack.read(1).any()
    with StackChoice.parsed(axes=axes, strict=True).open(str(tmp_path / "a.zarr")) as stack:
        assert stack.read(0).all()
        with pytest.raises(MissingFileError, match=r"Frame 1 of .*c/1/0/0.* is missing"):
            stack.read(1)


def test_two_axes_are_for_sessions(tmp_path):
    with pytest.raises(InvalidInputError, match="one axis"):
        StackChoice.parsed(axis="tz").open(str(tmp_path / "a.tif"))

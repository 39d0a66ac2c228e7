from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from sam2_core.cli.stack_choice import StackChoice, geometry_of
from sam2_core.errors import InvalidInputError


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


def test_two_axes_are_for_sessions(tmp_path):
    with pytest.raises(InvalidInputError, match="one axis"):
        StackChoice.parsed(axis="tz").open(str(tmp_path / "a.tif"))

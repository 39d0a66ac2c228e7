from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.ome_zarr import OmeImage, axis_letter


def image(**multiscale):
    return OmeImage.from_attributes({"multiscales": [{"datasets": [{"path": "0"}, {"path": "1"}], **multiscale}]}, "a")


def test_scales_of_level_and_image_multiply():
    found = image(
        axes=[{"name": "z"}, {"name": "y"}, {"name": "x"}],
        datasets=[
            {"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]},
            {
                "path": "s1",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1, 2, 2]},
                    {"type": "translation", "translation": [0, 0.5, 0.5]},
                ],
            },
        ],
        coordinateTransformations=[{"type": "scale", "scale": [3, 0.5, 0.5]}],
    )
    assert found.paths == ("s0", "s1")
    assert found.scales == ((3, 0.5, 0.5), (3, 1, 1))


def test_older_versions():
    assert image(axes=["t", "y", "x"]).axes == "tyx"  # 0.3
    assert image().axes is None  # 0.1 and 0.2 are always t, c, z, y, x
    assert image().scales == ((), ())


def test_types_say_what_odd_names_do_not():
    found = image(
        axes=[{"name": "frames", "type": "time", "unit": "hour"}, {"name": "stain", "type": "channel"}, "y", "x"]
    )
    assert found.axes == "tcyx"
    assert found.units == {"t": "hour"}
    assert [axis_letter(name) for name in ("Time", "Z", "channel")] == ["t", "z", "c"]


def test_other_attributes_are_no_image():
    assert OmeImage.from_attributes({}, "a") is None
    assert OmeImage.from_attributes({"ome": {"plate": {}}}, "a") is None
    with pytest.raises(InvalidInputError, match="no resolution level"):
        image(datasets=[])
    with pytest.raises(InvalidInputError, match="cannot be understood"):
        OmeImage.from_attributes({"multiscales": []}, "a")

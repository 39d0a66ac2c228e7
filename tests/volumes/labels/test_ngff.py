from __future__ import annotations

import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.ngff import multiscale, plan_alone, plan_in_image
from tests.volumes.labels.test_ome_zarr import make_image


def test_levels_halve_planes_until_they_are_small():
    plan = plan_alone(LabelLayout(7, (1000, 301), "z", np.dtype(np.uint16), (2.0, 0.5, 0.5), "nm"))
    assert [level.shape for level in plan.levels] == [(7, 1000, 301), (7, 500, 151), (7, 250, 76)]
    assert plan.levels[1].transforms == [{"type": "scale", "scale": [2.0, 1.0, pytest.approx(0.5 * 301 / 151)]}]
    assert [axis["unit"] for axis in plan.axes] == ["nanometer"] * 3


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_levels_of_the_image(tmp_path, version):
    path = make_image(tmp_path / "image.zarr", "tczyx", (3, 2, 4, 41, 50), version, levels=3)
    group = zarr.open_group(path, mode="r")
    scales = multiscale(group, "image")
    assert (scales.version, scales.letters, scales.scale("z"), scales.scale("q")) == (version, "tczyx", 2.0, 1.0)
    plan = plan_in_image(group, scales, LabelLayout(4, (41, 50), "z", np.dtype(np.uint16)), {"t": 1}, "labels")
    assert plan.letters == "tzyx"
    assert (plan.frame_axis, plan.fixed, plan.position) == ("z", {"t": 1}, "t=1")
    assert [level.shape for level in plan.levels] == [(3, 4, 41, 50), (3, 4, 21, 25), (3, 4, 11, 13)]
    assert plan.levels[1].transforms == [{"type": "scale", "scale": [1.0, 2.0, 1.0, 1.0]}]


@pytest.mark.parametrize("content", [[], [{}], [{"axes": [{"name": "x"}], "datasets": [{"path": "0"}]}], 3])
def test_malformed_metadata(content):
    group = zarr.create_group({}, attributes={"ome": {"version": "0.5", "multiscales": content}})
    with pytest.raises(InvalidInputError, match="multiscales"):
        multiscale(group, "image")

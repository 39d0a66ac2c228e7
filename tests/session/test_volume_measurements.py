"""Objects of z-stacks measured as volumes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from skimage.measure import regionprops

from sam2_core.errors import InvalidInputError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.volume_measurements import measure_volumes, write_volumes
from tests.session.test_time_and_depth import IMAGES, LABELS, TIMES, in_order_of_ids, labelled, session, volume

__all__ = ["labelled", "session"]  # fixtures


def test_volumes_are_measured_at_each_time(labelled: AnnotationSession, tmp_path: Path) -> None:
    found = {(one.object_id, one.t): one for one in measure_volumes(labelled)}

    assert set(found) == {(label, time) for label in (1, 2) for time in range(TIMES)}
    for time in range(TIMES):
        for region in regionprops(LABELS[time], IMAGES[time]):
            one = found[region.label, time]
            assert one.voxels == region.area
            assert one.physical_volume == pytest.approx(region.area * 2.0 * 0.5 * 0.25)
            assert (one.z, one.y, one.x) == pytest.approx(region.centroid)
            assert one.mean_intensity == pytest.approx(region.intensity_mean)
            assert one.slices == len(np.unique(region.coords[:, 0]))
    write_volumes(labelled, tmp_path / "volumes.csv")
    with (tmp_path / "volumes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0]["name"] == "drifting"


def test_a_single_z_stack_is_one_time() -> None:
    with AnnotationSession.create(volume().stack("z", {"t": 1})) as one:
        one.import_labels(in_order_of_ids(LABELS[1]))
        found = {(each.object_id, each.t): each.voxels for each in measure_volumes(one, intensity=False)}
    assert found == {(label, 0): (LABELS[1] == label).sum() for label in (1, 2)}


def test_volumes_need_a_depth() -> None:
    with (
        AnnotationSession.create(volume().stack("t", {"z": 5})) as film,
        pytest.raises(InvalidInputError, match="along t"),
    ):
        next(measure_volumes(film))

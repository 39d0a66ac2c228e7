"""What goes into the records comes out of them, and they stay small in memory."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_records import MaskRecords


@settings(deadline=None)
@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)), st.integers(0, 10**6))
def test_masks_come_back_as_they_were(picture: np.ndarray, corner: int) -> None:
    records = MaskRecords()
    found = ObjectMask.from_pixels("cell", picture, (corner, 2 * corner), 0.25, -3.0)
    records.put(7, 1, {5: found})
    (place, back), *more = records.parts(7, 1).items()
    assert (place, more) == (5, [])
    assert (back.window, back.predicted_iou, back.object_score) == (found.window, 0.25, -3.0)
    np.testing.assert_array_equal(back.mask, found.mask)
    records.close()


def test_an_objects_frame_is_written_anew_as_a_whole() -> None:
    records = MaskRecords()
    part = ObjectMask.from_pixels(None, np.ones((3, 3), bool))
    records.put(0, 1, {0: part, 1: part})
    records.put(1, 1, {0: part})
    records.put(0, 2, {0: part})
    records.put(0, 1, {2: part})
    assert list(records.parts(0, 1)) == [2]
    assert records.frames(1) == [0, 1]
    records.forget(1)
    assert (records.frames(1), records.parts(0, 1)) == ([], {})
    assert list(records.parts(0, 2)) == [0]


def test_unknown_scores_stay_unknown() -> None:
    records = MaskRecords()
    records.put(0, 1, {0: ObjectMask.from_pixels(None, np.zeros((1, 1), bool))})
    back = records.parts(0, 1)[0]
    assert math.isnan(back.predicted_iou)
    assert math.isnan(back.object_score)
    assert back.area == 0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from scipy import ndimage

from sam2_core.cli.prompts import MaskCrop
from sam2_core.errors import InvalidInputError

masks = numpy_strategies.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(np.any)


@given(masks)
def test_the_mask_comes_back(mask):
    kept = MaskCrop.of(mask)
    assert np.array_equal(kept.full, mask)
    assert kept.area == mask.sum()
    x0, y0, x1, y1 = kept.box
    rows, columns = ndimage.find_objects(mask.astype(int))[0]
    assert (y0, y1, x0, x1) == (rows.start, rows.stop, columns.start, columns.stop)
    assert len(kept.bits) <= (y1 - y0) * (x1 - x0) // 8 + 1


@given(masks)
def test_the_peak_is_the_pixel_farthest_from_the_border(mask):
    x, y = MaskCrop.of(mask).peak
    assert mask[int(y), int(x)]
    if not mask.all():
        distance = ndimage.distance_transform_edt(mask)
        assert distance[int(y), int(x)] == distance.max()


def test_parts_of_a_frame():
    mask = np.zeros((3, 4), bool)
    mask[1, 2:] = True
    kept = MaskCrop.of(mask, top=5, left=6, frame_size=(20, 30))
    assert np.argwhere(kept.full).tolist() == [[6, 8], [6, 9]]
    with pytest.raises(InvalidInputError, match="empty"):
        MaskCrop.of(np.zeros((3, 3), bool))

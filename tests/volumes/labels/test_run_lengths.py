from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.run_lengths import decoded_counts, encoded_objects, paint
from tests.volumes.labels.random_labels import label_stacks


@settings(deadline=None)
@given(label_stacks(2**32 - 1))
def test_as_pycocotools_encodes_and_decodes(labels):
    for frame in labels.astype(np.uint32):
        encoded = encoded_objects(frame)
        assert [object_id for object_id, _ in encoded] == np.unique(frame[frame > 0]).tolist()
        painted = np.zeros(frame.shape, np.uint32, order="F")
        for object_id, encoding in encoded:
            mask = np.asfortranarray((frame == object_id).astype(np.uint8))
            assert encoding["counts"].encode() == coco_mask.encode(mask)["counts"]
            paint(painted, encoding, object_id)
        assert np.array_equal(painted, frame)


@settings(deadline=None)
@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=30))
def test_counts_come_back(counts):
    size = [sum(counts), 1]
    compressed = coco_mask.frPyObjects({"size": size, "counts": counts}, *size)["counts"]
    assert decoded_counts(compressed).tolist() == counts
    assert decoded_counts(b"").tolist() == []


def test_polygons_and_plain_counts():
    labels = np.zeros((10, 12), np.uint16, order="F")
    polygon = [[2, 2, 8, 2, 8, 6, 2, 6]]
    paint(labels, polygon, 3)
    assert np.array_equal(labels == 3, coco_mask.decode(coco_mask.frPyObjects(polygon, 10, 12))[..., 0])
    paint(labels, {"size": [10, 12], "counts": [0, 10, 110]}, 4)
    assert (labels[:, 0] == 4).all()
    paint(labels, [], 5)
    assert 5 not in labels


@pytest.mark.parametrize(
    "segmentation",
    [{"size": [10, 12], "counts": [5, 5]}, {"size": [12, 10], "counts": [120]}, {"counts": [120]}, "x", None],
)
def test_run_lengths_that_do_not_fill_the_frame(segmentation):
    with pytest.raises(InvalidInputError, match=r"run lengths|Expected"):
        paint(np.zeros((10, 12), np.uint16, order="F"), segmentation, 1)

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels import ArrayLabels, open_labels
from tests.volumes.labels.random_labels import painted_stack


@pytest.mark.parametrize("wrap", [np.asarray, dask.array.from_array, lambda array: zarr.array(array)])
def test_arrays_of_any_kind(wrap):
    labels = painted_stack()
    stack = open_labels(wrap(labels))
    assert (len(stack), stack.frame_size, stack.axis, stack.dtype) == (4, (40, 50), "frame", np.uint64)
    assert np.array_equal(np.stack(list(stack)), labels)
    assert open_labels(stack) is stack
    assert "4 frames along frame, 40 x 50" in repr(stack)


@pytest.mark.parametrize(
    ("given", "expected"), [(bool, "uint8"), ("int8", "uint8"), ("uint16", "uint16"), ("float32", "uint32")]
)
def test_dtypes(given, expected):
    stack = ArrayLabels(np.ones((4, 5), given))
    assert stack.dtype == expected
    assert stack.read(0).dtype == expected
    assert stack.read(0).flags.writeable


@pytest.mark.parametrize("index", [-1, 4])
def test_frames_that_are_not_there(index):
    with pytest.raises(InvalidInputError, match="frames 0 to 3"):
        ArrayLabels(painted_stack()).read(index)
    with pytest.raises(InvalidTypeError):
        ArrayLabels(painted_stack()).read("1")


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros((2, 3, 4, 5), int), InvalidInputError),
        (np.zeros((0, 3, 4), int), InvalidInputError),
        (np.zeros((3, 4), complex), InvalidTypeError),
        (None, InvalidTypeError),
    ],
)
def test_what_is_no_stack_of_labels(array, error):
    with pytest.raises(error):
        open_labels(array)


@pytest.mark.parametrize("value", [-1, -1.0, np.nan, 0.5, 1e12])
def test_what_is_no_label(value):
    with pytest.raises(InvalidInputError, match="Frame 0"):
        ArrayLabels(np.full((2, 3), value)).read(0)

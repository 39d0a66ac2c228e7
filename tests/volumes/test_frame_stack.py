from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes import open_frames
from sam2_core.volumes.contrast import ContrastLimits

generator = np.random.default_rng(1)


def test_small_stack_gets_the_exact_percentiles_of_all_of_it():
    array = generator.integers(0, 5000, (7, 30, 20)).astype(np.uint16)
    limits = open_frames(array).contrast_limits
    assert limits is not None
    assert limits.low == (np.percentile(array, 1),)
    assert limits.high == (np.percentile(array, 99.8),)


def test_every_frame_gets_the_same_limits_whatever_is_read_first():
    array = (np.arange(6)[:, None, None] * 1000 + generator.integers(0, 500, (6, 16, 16))).astype(np.uint16)
    forward = [frame.copy() for frame in open_frames(array)]
    stack = open_frames(array)
    backward = [stack.read(index) for index in reversed(range(6))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert forward[0].mean() < forward[5].mean()


def test_the_sample_is_bounded():
    class Counting:
        shape, dtype = (500, 40, 40), np.dtype(np.uint16)

        def __init__(self):
            self.read = []

        def __getitem__(self, index):
            self.read.append(index[0])
            return np.broadcast_to(np.arange(500, dtype=np.uint16)[:, None, None], self.shape)[index]

    source = Counting()
    stack = open_frames(source)
    assert source.read == []
    stack.read(3)
    assert len(source.read) == 17
    stack.read(4)
    assert len(source.read) == 18


def test_uint8_is_passed_on_unless_asked():
    array = generator.integers(50, 100, (3, 10, 10)).astype(np.uint8)
    assert np.array_equal(open_frames(array).read(1), np.repeat(array[1][..., None], 3, axis=2))
    stretched = open_frames(array, contrast="auto").read(1)
    assert stretched.min() == 0
    assert stretched.max() == 255


def test_given_limits_are_used():
    assert open_frames(np.full((4, 4), 150, np.uint16), contrast=(100, 200)).read(0)[0, 0, 0] in (127, 128)


@pytest.mark.parametrize("contrast", ["best", (1,), (1, 2, 3), ("a", "b"), 5, (3, 3)])
def test_other_contrast_is_refused(contrast):
    with pytest.raises(InvalidInputError):
        open_frames(np.zeros((4, 4), np.uint8), contrast=contrast)


def test_frame_numbers_are_checked():
    stack = open_frames(np.zeros((3, 4, 5), np.uint8))
    for index in (-1, 3):
        with pytest.raises(InvalidInputError, match="frames 0 to 2"):
            stack.read(index)
    with pytest.raises(InvalidTypeError):
        stack.read(1.5)
    assert stack.read(np.int64(2)).shape == (4, 5, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_refused(value):
    array = np.zeros((2, 4, 5), np.float32)
    array[1, 2, 2] = value
    with pytest.raises(InvalidInputError, match="NaN or infinite"):
        open_frames(array).read(1)


def test_wrong_kinds_of_values_are_refused():
    with pytest.raises(InvalidTypeError, match="complex"):
        open_frames(np.zeros((2, 4, 5), complex))
    with pytest.raises(InvalidInputError, match="empty"):
        open_frames(np.zeros((0, 4, 5)))
    with pytest.raises(InvalidInputError, match="empty"):
        open_frames(np.zeros((2, 0, 5)))


def test_other_contrast_from_now_on():
    pixels = np.random.default_rng(0).integers(0, 3000, (2, 6, 7)).astype(np.uint16)
    with open_frames(pixels) as stack, open_frames(pixels, contrast=(100, 900)) as other:
        assert stack.contrast_limits != other.contrast_limits
        own = stack.contrast_limits
        stack.use_contrast(ContrastLimits.from_dict(other.contrast_limits.as_dict()))
        assert stack.contrast_limits == other.contrast_limits
        assert np.array_equal(stack.read(1), other.read(1))
        stack.use_contrast(None)
        assert stack.contrast_limits == own
        with pytest.raises(InvalidInputError, match="2 channels, but 1"):
            stack.use_contrast([(0, 1), (0, 2)])

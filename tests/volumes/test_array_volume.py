from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes import open_frames


@pytest.mark.parametrize(
    ("shape", "length", "frame_size", "channel_count"),
    [
        ((8, 9), 1, (8, 9), 1),
        ((8, 9, 3), 1, (8, 9), 3),
        ((8, 9, 4), 1, (8, 9), 3),
        ((5, 8, 9), 5, (8, 9), 1),
        ((5, 8, 9, 1), 5, (8, 9), 1),
        ((5, 8, 9, 2), 5, (8, 9), 2),
        ((5, 8, 9, 3), 5, (8, 9), 3),
        ((5, 8, 9, 4), 5, (8, 9), 3),
    ],
)
def test_shapes(shape, length, frame_size, channel_count):
    array = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    stack = open_frames(array)
    assert (len(stack), stack.frame_size, stack.channel_count) == (length, frame_size, channel_count)
    frame = stack.read(length - 1)
    assert frame.shape == (*frame_size, 3)
    assert frame.dtype == np.uint8
    picture = array if length == 1 else array[-1]
    expected = picture.reshape(*frame_size, -1)[..., :channel_count]
    assert np.array_equal(frame[..., :channel_count], expected)
    if channel_count == 2:
        assert not frame[..., 2].any()


@pytest.mark.parametrize("shape", [(4,), (2, 8, 9, 5), (2, 3, 8, 9, 3), ()])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InvalidInputError):
        open_frames(np.zeros(shape, np.uint8))


def test_bool_is_black_and_white():
    assert set(np.unique(open_frames(np.eye(6, dtype=bool)).read(0))) == {0, 255}


def test_torch_tensors_get_a_hint():
    torch = pytest.importorskip("torch")
    with pytest.raises(InvalidTypeError, match=r"cpu\(\)\.numpy\(\)"):
        open_frames(torch.zeros(3, 4, 4))


def test_lists_of_arrays():
    pictures = [np.full((4, 5), value, np.uint8) for value in (1, 2, 3)]
    stack = open_frames(pictures)
    assert len(stack) == 3
    assert stack.read(2)[0, 0].tolist() == [3, 3, 3]
    with pytest.raises(InvalidInputError, match="Item 1"):
        open_frames([pictures[0], np.zeros((4, 6), np.uint8)])
    with pytest.raises(InvalidInputError, match="Item 1"):
        open_frames([pictures[0], np.zeros((4, 5), np.uint16)])
    with pytest.raises(InvalidInputError, match="empty"):
        open_frames([])
    with pytest.raises(InvalidInputError, match="expected"):
        open_frames([np.zeros(4, np.uint8)])


def test_unknown_sources_are_refused():
    with pytest.raises(InvalidTypeError, match="numpy array"):
        open_frames(object())  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="int"):
        open_frames([1, 2])

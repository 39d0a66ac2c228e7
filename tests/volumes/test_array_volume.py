from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes import open_frames, open_volume


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


@pytest.mark.parametrize("axes", ["tczyx", "zyx", "xyz", "yxc", "TZYX", "ztcyx", "yx"])
@pytest.mark.parametrize("kind", ["numpy", "dask", "memmap"])
def test_named_axes_in_any_order(tmp_path, axes, kind):
    sizes = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6}
    shape = tuple(sizes[axis] for axis in axes.lower())
    pixels = np.random.default_rng(0).integers(0, 4000, shape).astype(">u2")
    source = pixels
    if kind == "dask":
        source = da.from_array(pixels, chunks=(1, *shape[1:]))
    elif kind == "memmap":
        source = np.memmap(tmp_path / "raw", dtype=">u2", mode="w+", shape=shape)
        source[:] = pixels
    volume = open_volume(source, axes=axes)
    order = [axes.lower().index(axis) for axis in "tczyx" if axis in axes.lower()]
    assert volume.sizes == {axis: sizes[axis] for axis in "tczyx" if axis in axes.lower()}
    read = volume.read()
    assert read.dtype == np.uint16
    assert read.dtype.isnative
    assert np.array_equal(read, pixels.transpose(order))
    assert np.array_equal(volume.read({"y": slice(1, 4, 2), "x": 2}), pixels.transpose(order)[..., 1:4:2, 2])


def test_dask_chunks_are_computed_once():
    computed = []

    def block(block_info=None):
        place = block_info[None]["chunk-location"]
        computed.append(place)
        return np.full((4, 8, 8), place[0], np.uint8)

    array = da.map_blocks(block, chunks=((4,) * 5, (8, 8), (8,)), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    volume = open_volume(array, axes="zyx")
    assert computed == []
    with volume.stack() as stack:
        for index in range(20):
            assert (stack.read(index) == index // 4).all()
    assert len(computed) == 10
    assert len(set(computed)) == 10


def test_arrays_that_name_their_dimensions():
    class Named:
        def __init__(self, array, dims):
            self.array, self.dims, self.shape, self.dtype = array, dims, array.shape, array.dtype

        def __getitem__(self, index):
            return self.array[index]

    pixels = np.zeros((3, 4, 5), np.uint8)
    assert open_volume(Named(pixels, ("z", "y", "x"))).axes == "zyx"
    with pytest.raises(InvalidInputError, match="cannot be known"):
        open_volume(Named(pixels, ("plane", "row", "column")))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((30, 64, 64), 'axes="zyx", axes="tyx"'),
        ((5, 64, 64, 3), 'axes="zyxc", axes="tyxc"'),
        ((5, 2, 64, 64), 'axes="tzyx", axes="tcyx", axes="zcyx", axes="czyx"'),
        ((2, 3, 5, 64, 64), 'axes="tczyx", axes="tzcyx"'),
        ((2, 2, 3, 5, 64, 64), "6 dimensions"),
        ((64,), "1 dimensions"),
    ],
)
def test_axes_that_cannot_be_known_are_listed(shape, expected):
    with pytest.raises(InvalidInputError, match=expected):
        open_volume(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("axes", ["zy", "zyxx", "zxx", "qyx", "tzc", "", ["zz", "y", "x"]])
def test_axes_that_do_not_fit_are_refused(axes):
    with pytest.raises(InvalidInputError, match="axes="):
        open_volume(np.zeros((3, 4, 5), np.uint8), axes=axes)


def test_lists_are_volumes():
    pictures = [np.full((4, 5, 3), value, np.uint8) for value in range(6)]
    with pytest.raises(InvalidInputError, match='axes="zyxc"'):
        open_volume(pictures)
    volume = open_volume(pictures, axes="zyxc")
    assert (volume.axes, volume.shape) == ("czyx", (3, 6, 4, 5))
    assert np.array_equal(volume.read({"z": slice(1, 6, 2), "c": 0, "y": 0, "x": 0}), [1, 3, 5])

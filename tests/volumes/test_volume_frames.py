from __future__ import annotations

import time

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes import ContrastLimits, open_frames, open_volume
from tests.volumes.counting_store import CountingStore

generator = np.random.default_rng(11)
PIXELS = generator.integers(0, 255, (20, 48, 40)).astype(np.uint8)


def counted(tmp_path, pixels, chunks, **options):
    """A volume on a store that counts, and the store."""
    path = tmp_path / "counted.zarr"
    array = zarr.create_array(path, shape=pixels.shape, chunks=chunks, dtype=pixels.dtype, **options)
    array[:] = pixels
    store = CountingStore(path, read_only=True)
    return open_volume(zarr.open_array(store, mode="r"), axes="zyx"), store


def settled(store, stack):
    """Wait until nothing is read in the background."""
    deadline = time.monotonic() + 10
    while stack._slabs._pending and time.monotonic() < deadline:
        time.sleep(0.005)
    return store.reads


@pytest.mark.parametrize(
    ("along", "plane", "pick"),
    [
        ("z", "yx", lambda a, i: a[i]),
        ("y", "zx", lambda a, i: a[:, i]),
        ("x", "zy", lambda a, i: a[:, :, i]),
        ("z", "xy", lambda a, i: a[i].T),
        ("y", "xz", lambda a, i: a[:, i].T),
    ],
)
@pytest.mark.parametrize("chunks", [(1, 48, 40), (4, 16, 16), (20, 7, 40)])
def test_planes_in_every_direction(tmp_path, along, plane, pick, chunks):
    volume, _ = counted(tmp_path, PIXELS, chunks)
    with volume.stack(along=along, plane=plane) as stack:
        assert len(stack) == PIXELS.shape["zyx".index(along)]
        assert stack.axis == along
        for index in (0, 5, len(stack) - 1, 4):
            assert np.array_equal(stack.read_raw(index)[..., 0], pick(PIXELS, index))


@pytest.mark.parametrize("reverse", [False, True])
def test_reading_along_z_reads_each_plane_chunk_once(tmp_path, reverse):
    volume, store = counted(tmp_path, PIXELS, (1, 48, 40))
    with volume.stack(along="z") as stack:
        order = range(20)[::-1] if reverse else range(20)
        for index in order:
            assert np.array_equal(stack.read(index)[..., 0], PIXELS[index])
        assert set(settled(store, stack).values()) == {1}
        assert len(store.reads) == 20


def test_a_chunk_of_several_frames_is_read_once(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (8, 24, 40))
    with volume.stack(along="z") as stack:
        for index in (0, 3, 7, 5, 6, 7, 8, 9):
            stack.read(index)
        assert set(settled(store, stack).values()) == {1}


def test_planes_across_the_chunks_read_the_store_once_where_it_fits_the_budget(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (1, 48, 40))
    with volume.stack(along="y", plane="zx") as stack:
        for index in range(48):
            assert np.array_equal(stack.read(index)[..., 0], PIXELS[:, index])
        assert set(settled(store, stack).values()) == {1}
        assert len(store.reads) == 20


def test_planes_across_the_chunks_read_the_store_once_a_block_where_it_does_not(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (1, 48, 40))
    # a frame has 20 x 40 bytes; twelve fit into a third of the budget, so four blocks cover 48 frames
    with volume.stack(along="y", plane="zx", budget_bytes=3 * 12 * 800) as stack:
        for index in range(48):
            stack.read(index)
        assert set(settled(store, stack).values()) == {4}
        assert stack._slabs.size_bytes <= 3 * 12 * 800


def test_memory_stays_within_the_budget(tmp_path):
    volume, _ = counted(tmp_path, PIXELS, (1, 48, 40))
    with volume.stack(along="z", budget_bytes=5 * 48 * 40) as stack:
        for index in [*range(20), *range(20)[::-1]]:
            stack.read(index)
            assert stack._slabs.size_bytes <= 5 * 48 * 40


def test_frames_are_read_ahead_in_the_background(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (1, 48, 40))
    with volume.stack(along="z") as stack:
        stack.read(3)
        assert set(store.reads) == {"c/3/0/0"}
        stack.read(4)
        assert {f"c/{index}/0/0" for index in range(3, 9)} == set(settled(store, stack))
        stack.read(15)
        assert set(settled(store, stack)) == {f"c/{index}/0/0" for index in (*range(3, 9), 15)}
        for index in (14, 13):
            stack.read(index)
        assert "c/9/0/0" in settled(store, stack)


def test_shards_are_read_chunk_by_chunk(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (1, 24, 40), shards=(10, 48, 40), compressors=None)
    with volume.stack(along="z") as stack:
        for index in range(20):
            assert np.array_equal(stack.read(index)[..., 0], PIXELS[index])
        settled(store, stack)
    index_bytes = 2 * 20 * 16 * 10  # an index of 20 chunks, 16 bytes each and a checksum, read once for each plane
    assert PIXELS.nbytes <= store.read_bytes <= PIXELS.nbytes + index_bytes * 1.1


def test_windows_read_only_the_chunks_they_need(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (2, 16, 16))
    with volume.stack(along="z") as stack:
        window = stack.read_window(5, slice(3, 14), slice(17, 30))
        assert np.array_equal(window, stack_window(PIXELS[5], slice(3, 14), slice(17, 30)))
        assert set(store.reads) == {"c/2/0/1"}
        window = stack.read_window(5, slice(3, 20), slice(17, 40))
        assert np.array_equal(window, stack_window(PIXELS[5], slice(3, 20), slice(17, 40)))
        assert store.reads == {f"c/2/{row}/{column}": 1 for row in (0, 1) for column in (1, 2)}
        # the frame beside it lies in the same chunks
        stack.read_window(4, slice(3, 20), slice(17, 40))
        assert set(store.reads.values()) == {1}


def test_windows_of_frames_stored_whole_are_read_ahead_too(tmp_path):
    volume, store = counted(tmp_path, PIXELS, (1, 48, 40))
    with volume.stack(along="z") as stack:
        for index in range(20):
            window = stack.read_window(index, slice(5, 20), slice(8, 30))
            assert np.array_equal(window, stack_window(PIXELS[index], slice(5, 20), slice(8, 30)))
            stack.read(index)
            if index == 1:
                assert set(settled(store, stack)) == {f"c/{number}/0/0" for number in range(6)}
        assert set(settled(store, stack).values()) == {1}


def stack_window(plane, rows, columns):
    return np.repeat(plane[rows, columns, None], 3, axis=2)


def test_tiles_that_overlap_read_each_chunk_once(tmp_path):
    pixels = generator.integers(0, 255, (1, 200, 300)).astype(np.uint8)
    volume, store = counted(tmp_path, pixels, (1, 32, 32))
    with volume.stack(along="z") as stack:
        for top in range(0, 200, 40):
            for left in range(0, 300, 60):
                rows, columns = slice(max(0, top - 8), min(200, top + 48)), slice(max(0, left - 8), min(300, left + 68))
                tile = stack.read_window(0, rows, columns)
                assert np.array_equal(tile, stack_window(pixels[0], rows, columns))
    assert len(store.reads) == 7 * 10
    assert set(store.reads.values()) == {1}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_of_any_plane_is_the_array_s(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 3), *[st.integers(1, 20)] * 3))
    chunks = data.draw(st.tuples(*[st.integers(1, size) for size in shape]))
    dtype = data.draw(st.sampled_from(["u1", ">u2", "<i4", "f4", "?"]))
    pixels = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 200, shape).astype(dtype)
    array = zarr.create_array({}, shape=shape, chunks=chunks, dtype=dtype, zarr_format=2)
    array[:] = pixels
    volume = open_volume(array, axes="tczyx")
    plane, along = data.draw(st.sampled_from([("yx", "z"), ("zx", "y"), ("zy", "x"), ("yx", "t")]))
    fixed = {axis: data.draw(st.integers(0, volume.sizes[axis] - 1)) for axis in "tzyx" if axis not in plane + along}
    budget = data.draw(st.sampled_from([1, 500, 10_000_000]))
    stack = volume.stack(along=along, plane=plane, at=fixed, contrast=(0, 200), budget_bytes=budget)
    index = data.draw(st.integers(0, len(stack) - 1))
    height, width = stack.frame_size
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    place = {**fixed, along: index}
    expected = pixels[tuple(place.get(axis, slice(None)) for axis in "tczyx")].astype(pixels.dtype.newbyteorder("="))
    expected = np.moveaxis(expected, 0, -1)  # channels last; what is left is in the order of the plane
    whole = stack.read_raw(index) if data.draw(st.booleans()) else None
    window = stack.read_window(index, slice(top, bottom), slice(left, right))
    if whole is not None:
        assert whole.dtype.isnative
        assert np.array_equal(whole, expected)
    assert np.array_equal(window, stack.read(index)[top:bottom, left:right])
    assert np.array_equal(stack.read_raw(index), expected)
    stack.close()


def test_spacing_follows_the_plane():
    volume = open_volume(PIXELS, axes="zyx", scale={"z": 2.0, "y": 0.5, "x": 0.25})
    assert volume.stack().spacing == (2.0, 0.5, 0.25)
    assert volume.stack(along="y", plane="zx").spacing == (0.5, 2.0, 0.25)
    assert open_volume(PIXELS, axes="zyx").stack().spacing == (1.0, 1.0, 1.0)
    assert volume.stack().volume is volume


def test_up_to_three_channels_are_mixed():
    pixels = generator.integers(0, 3000, (4, 6, 9, 8)).astype(np.uint16)
    volume = open_volume(pixels, axes="czyx")
    with pytest.raises(InvalidInputError, match="at most three"):
        volume.stack()
    for channels in [(2,), (0, 2), (3, 1), (3, 2, 0)]:
        stack = volume.stack(channels=channels)
        assert np.array_equal(stack.read_raw(4), pixels[list(channels), 4].transpose(1, 2, 0))
        assert len(stack.contrast_limits.low) == len(channels)
        shown = stack.read(4)
        if len(channels) > 1:
            assert [shown[..., channel].any() for channel in range(3)] == [
                channel < len(channels) for channel in range(3)
            ]
    for channels in [(), (4,), (-1,), ("actin",)]:
        with pytest.raises(InvalidInputError, match="channels 0 to 3"):
            volume.stack(channels=channels)


def test_channels_that_are_not_wanted_are_not_read(tmp_path):
    pixels = generator.integers(0, 255, (4, 3, 8, 8)).astype(np.uint8)
    store_path = tmp_path / "c.zarr"
    zarr.create_array(store_path, shape=pixels.shape, chunks=(1, 1, 8, 8), dtype="u1")[:] = pixels
    store = CountingStore(store_path, read_only=True)
    volume = open_volume(zarr.open_array(store, mode="r"), axes="czyx", channels=(0, 1, 3))
    assert np.array_equal(volume.stack(channels=(2, 0)).read_raw(1), pixels[[3, 0], 1].transpose(1, 2, 0))
    assert set(store.reads) == {"c/0/1/0/0", "c/3/1/0/0"}


def test_limits_are_kept_stored_and_used_again(tmp_path):
    volume, store = counted(tmp_path, (PIXELS.astype(np.uint16) * 17), (1, 48, 40))
    first = volume.stack()
    shown = first.read(7)
    stored = first.contrast_limits.as_dict()
    store.forget()
    again = volume.stack(contrast=ContrastLimits.from_dict(stored))
    assert np.array_equal(again.read(7), shown)
    assert set(store.reads) == {"c/7/0/0"}  # no sample was taken
    # and they do not depend on the plane
    assert volume.stack(along="y", plane="zx").contrast_limits == first.contrast_limits
    with pytest.raises(InvalidInputError, match="2 channels"):
        volume.stack(contrast=[(0, 1), (0, 2)])


def test_axes_that_have_to_be_chosen_or_are_not_there():
    volume = open_volume(np.zeros((3, 5, 8, 9), np.uint8), axes="tzyx")
    with pytest.raises(InvalidInputError, match=r"t \(3\), z \(5\)"):
        volume.stack()
    with pytest.raises(InvalidInputError, match="no axis 'c'"):
        volume.stack(along="c")
    with pytest.raises(InvalidInputError, match="no axis 'q'"):
        volume.stack(at={"q": 0})
    with pytest.raises(InvalidInputError, match="positions 0 to 2; got 3"):
        volume.stack(along="z", at={"t": 3})
    with pytest.raises(InvalidInputError, match="no axis 'z' to fix"):
        volume.stack(along="z", at={"z": 1, "t": 0})
    for plane in ("yy", "y", "cx", "yxz", "qx"):
        with pytest.raises(InvalidInputError, match="not a plane"):
            volume.stack(along="z", at={"t": 0}, plane=plane)
    with pytest.raises(InvalidTypeError, match="integer"):
        volume.stack(along="z", at={"t": 1.5})
    assert len(volume.stack(at={"z": 4})) == 3
    assert volume.stack(at={"z": 4}).axis == "t"


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 0), slice(0, 4)),
        (slice(0, 9), slice(0, 4)),
        (slice(-2, None), slice(0, 4)),
        (slice(0, 4, 2), slice(0, 4)),
    ],
)
def test_windows_outside_the_frame_are_refused(rows, columns):
    stack = open_frames(np.zeros((2, 8, 9), np.uint8))
    with pytest.raises(InvalidInputError, match="needs rows within 0 to 8"):
        stack.read_window(0, rows, slice(0, 4))
    assert stack.read_window(0, slice(None), slice(2, 5)).shape == (8, 3, 3)


def test_not_a_number_in_a_window_or_a_sample():
    pixels = np.zeros((2, 8, 9), np.float32)
    pixels[1, 7, 8] = np.nan
    stack = open_frames(pixels, contrast=(0, 1))
    assert stack.read_window(1, slice(0, 4), slice(0, 9)).shape == (4, 9, 3)
    with pytest.raises(InvalidInputError, match=r"Frame 1 .* NaN"):
        stack.read_window(1, slice(4, 8), slice(0, 9))


def test_a_broken_chunk_names_frame_and_array_and_spoils_no_other(tmp_path):
    volume, _ = counted(tmp_path, PIXELS, (1, 48, 40))
    chunk = tmp_path / "counted.zarr" / "c" / "7" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with volume.stack(along="z") as stack:
        for index in range(20):
            if index == 7:
                with pytest.raises(InvalidInputError, match=r"Frame 7 of .*chunk c/7/0/0 of the zarr array .*counted"):
                    stack.read(index)
            else:
                assert np.array_equal(stack.read(index)[..., 0], PIXELS[index])


def test_given_budgets_are_checked():
    with pytest.raises(InvalidInputError, match="budget_bytes"):
        open_volume(PIXELS, axes="zyx").stack(budget_bytes=0)


@pytest.mark.parametrize(
    ("options", "message"), [({"along": 0}, "letter"), ({"at": 3}, "at must map"), ({"at": {0: 1}}, "at must map")]
)
def test_choices_of_the_wrong_type(options, message):
    with pytest.raises(InvalidTypeError, match=message):
        open_volume(PIXELS, axes="zyx").stack(**options)

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.volumes import contiguous_pixels
from sam2_core.volumes.contiguous_pixels import ContiguousPixels

HEADER = 7


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(0, 2**16, (3, 4, 9, 11)).astype(">u2")
    path = tmp_path_factory.mktemp("raw") / "pixels.raw"
    path.write_bytes(b"#" * HEADER + pixels.tobytes())
    return path, pixels


def opened(path, shape):
    handle = tifffile.FileHandle(path)
    handle.set_lock(True)
    return handle, ContiguousPixels(handle, HEADER, shape, np.dtype(">u2"))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), gap=st.sampled_from([0, 8, 2**16]), together=st.sampled_from([1, 50, 2**20]))
def test_any_region_is_what_numpy_says(stored, data, gap, together):
    path, pixels = stored
    region = []
    for size in pixels.shape:
        start = data.draw(st.integers(0, size - 1))
        region.append(slice(start, data.draw(st.integers(start + 1, size))))
    handle, source = opened(path, pixels.shape)
    with (
        handle,
        mock.patch.object(contiguous_pixels, "_GAP_BYTES", gap),
        mock.patch.object(contiguous_pixels, "_READ_BYTES", together),
    ):
        found = source.read(region)
    assert np.array_equal(found, pixels[tuple(region)])
    found[:] = 0  # nobody else's memory


def test_a_file_that_becomes_shorter_is_an_error(tmp_path, stored):
    path = tmp_path / "short.raw"
    content = stored[0].read_bytes()
    path.write_bytes(content)
    handle, source = opened(path, stored[1].shape)
    with handle:
        path.write_bytes(content[: len(content) // 2])
        assert np.array_equal(source.read([slice(0, 1)] + [slice(0, size) for size in (4, 9, 11)]), stored[1][:1])
        with pytest.raises(InvalidInputError, match=r"short\.raw ends before its pixels do"):
            source.read([slice(2, 3), slice(0, 4), slice(0, 9), slice(3, 5)])

"""Regions of a file are those of the array in it, whatever is cut; and a file that shrinks is an error, not a crash."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.plain_pixels import PlainPixels

SHAPE = (3, 4, 5, 6)


def written(path: Path, dtype: str, offset: int = 7) -> np.ndarray:
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)
    path.write_bytes(b"x" * offset + array.tobytes() + b"tail")
    return array


def ranges(size: int) -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, size - 1), st.integers(1, size)).map(
        lambda ends: slice(min(ends), max(*ends, ends[0] + 1))
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@settings(max_examples=150, deadline=None)
@given(
    region=st.tuples(*map(ranges, SHAPE)),
    dtype=st.sampled_from(["u1", ">u2", "<f4"]),
    cost=st.sampled_from([0, 1, 10**6]),
)
def test_any_region(folder: Path, region: tuple[slice, ...], dtype: str, cost: int) -> None:
    array = written(folder / "a.raw", dtype)
    with pytest.MonkeyPatch.context() as patch:
        # few large reads, many small ones, or as it is: the same pixels
        patch.setattr("sam2_core.volumes.plain_pixels.READ_COSTS_BYTES", cost)
        pixels = PlainPixels(folder / "a.raw", 7, SHAPE, np.dtype(dtype))
        found = pixels.read(region)
        pixels.close()

    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, array[region])


def test_without_positional_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    array = written(folder / "b.raw", "u2")
    monkeypatch.delattr(os, "preadv", raising=False)
    pixels = PlainPixels(folder / "b.raw", 7, SHAPE, np.dtype("u2"))

    assert np.array_equal(pixels.read([slice(1, 3), slice(0, 4), slice(2, 3), slice(1, 4)]), array[1:3, :, 2:3, 1:4])
    pixels.close()


def test_a_file_that_shrinks_while_it_is_open(tmp_path: Path) -> None:
    written(tmp_path / "c.raw", "u2")
    pixels = PlainPixels(tmp_path / "c.raw", 7, SHAPE, np.dtype("u2"))
    os.truncate(tmp_path / "c.raw", 100)

    with pytest.raises(InvalidInputError, match=r"c\.raw is cut short"):
        pixels.read([slice(0, size) for size in SHAPE])
    first: Any = pixels.read([slice(0, 1), slice(0, 1), slice(0, 1), slice(0, 6)])
    assert first.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    pixels.close()

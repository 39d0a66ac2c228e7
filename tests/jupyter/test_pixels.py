"""Tiles, masks and brush strokes as arrays, compared with plain numpy."""

from __future__ import annotations

import io
import zlib
from enum import Enum
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.volumes.readers import open_volume
from sam2_jupyter.brush import brushed
from sam2_jupyter.frame_tiles import TILE_SIZE, FrameTiles, TilePlace, block_means, display_limits, display_range
from sam2_jupyter.mask_packing import packed, run_lengths
from sam2_jupyter.option_fields import fields_of


class Colour(Enum):
    """A type that forms leave alone."""

    RED = 1


@given(arrays.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))))
@settings(deadline=None, max_examples=60)
def test_masks_are_unpacked_as_they_were(mask: np.ndarray) -> None:
    cut = MaskPixels.cut(mask)
    packing, data = packed(cut)
    size = cut.inside.size
    if packing == "bits":
        pixels = np.unpackbits(np.frombuffer(data, np.uint8), count=size).astype(bool)
    else:
        runs = np.frombuffer(data, "<u4")
        pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    assert np.array_equal(pixels.reshape(cut.inside.shape), cut.inside)
    assert len(data) <= size // 8 + 1


def test_runs_of_one_pixel() -> None:
    assert run_lengths(np.array([True])).tolist() == [0, 1]
    assert run_lengths(np.array([False])).tolist() == [1]


def test_tiles_of_all_levels_make_the_frame() -> None:
    """Each level's tiles, put together, are the means of blocks; without loss they are exact."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 4000, (1300, 1100), np.uint16)
    stack = open_volume(frame[None], axes="zyx").stack("z", contrast=(0, 4000))
    tiles = FrameTiles(stack)
    assert tiles.level_count == 3
    for level in range(3):
        factor = 2**level
        wanted = np.rint(block_means(frame[:, :, None], factor)[:, :, 0] * (255 / 4000))
        step = TILE_SIZE * factor
        for row in range(-(-1300 // step)):
            for column in range(-(-1100 // step)):
                about, data = tiles.tile(TilePlace(0, level, column, row), ((0.0, 4000.0),), "deflate")
                pixels = np.frombuffer(zlib.decompress(data), np.uint8).reshape(about["height"], about["width"])
                part = wanted[row * TILE_SIZE :, column * TILE_SIZE :][: about["height"], : about["width"]]
                assert np.abs(pixels - part).max() <= 1
                assert len(data) <= 2 * TILE_SIZE**2


def test_tiles_while_moving_are_pictures_of_the_same_size() -> None:
    frame = np.zeros((2, 700, 900), np.uint8)
    frame[0, :, 450:] = 200
    stack = open_volume(frame, axes="cyx").stack()
    about, data = FrameTiles(stack).tile(TilePlace(0, 1, 0, 0), display_limits(stack), "jpeg")
    picture = np.asarray(Image.open(io.BytesIO(data)))
    assert picture.shape == (350, 450, 3) == (about["height"], about["width"], 3)
    assert picture[100, 400, 0] > 190
    assert picture[100, 100].max() < 10


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int16, np.float32])
def test_contrast_can_be_moved_within_what_the_dtype_holds(dtype: type) -> None:
    pixels = np.arange(4096).reshape(1, 64, 64).astype(dtype)
    stack = open_volume(pixels, axes="zyx").stack("z")
    for limits in display_limits(stack):
        low, high = display_range(stack, limits)
        assert low <= limits[0] < limits[1] <= high


def test_a_brush_covers_what_is_near_its_line() -> None:
    mask = brushed([(10.0, 20.0), (40.0, 20.0)], 3.0, (50, 60))
    rows, columns = np.mgrid[:50, :60]
    distance = np.hypot(np.maximum(np.maximum(10 - columns, columns - 40), 0), rows - 20)
    assert np.array_equal(mask, distance <= 3)
    assert brushed([(5.0, 5.0)], 0.5, (10, 10)).sum() == 1
    assert not brushed([(-50.0, 5.0), (-20.0, 5.0)], 2, (10, 10)).any()


def test_options_are_described_for_forms() -> None:
    def function(
        what: int,
        *,
        share: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5,
        count: int | None = None,
        way: Literal["up", "down"] = "up",
        colour: Colour = Colour.RED,
        name: str = "x",
        is_on: bool = True,
    ) -> None:
        pass

    fields = {field["name"]: field for field in fields_of(function)}
    assert list(fields) == ["share", "count", "way", "colour", "name", "is_on"]
    assert (fields["share"]["kind"], fields["share"]["min"], fields["share"]["max"]) == ("float", 0.0, 1.0)
    assert (fields["count"]["kind"], fields["count"]["optional"]) == ("int", True)
    assert (fields["way"]["kind"], fields["way"]["choices"]) == ("choice", ["up", "down"])
    assert (fields["colour"]["kind"], fields["colour"]["default"]) == ("other", None)
    assert (fields["name"]["kind"], fields["is_on"]["kind"]) == ("text", "bool")

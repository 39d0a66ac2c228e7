"""A seeded, bounded sample of a volume's pixels, from which contrast limits are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.volume import Volume, read_channels

SAMPLE_PLANES = 16
SAMPLE_CHUNKS = 32
# a strip of a few rows says too little: chunks are put together up to this side, and small planes are taken whole
SAMPLE_SIDE = 512
WHOLE_PLANE_PIXELS = 1024 * 1024
SAMPLE_PIXELS = 1_000_000
SAMPLE_BYTES = 256 * 2**20
SAMPLE_SEED = 20241


def sample_pixels(volume: Volume, fixed: Mapping[str, int], channels: Sequence[int]) -> NDArray[Any]:
    """Draw pixels from chunks spread over a volume.

    At most 16 whole planes are read, or, where planes are large and stored in pieces, 32 pieces of 512 x 512 or a chunk
    at random places with a fixed seed; no more than 256 MiB either way (but four at least). Of these at most a million
    values are kept. So the same volume always gives the same sample, whatever the plane it is looked at in.

    Parameters
    ----------
    volume : Volume
    fixed : mapping of str to int
        Positions on the axes that are not sampled.
    channels : sequence of int

    Returns
    -------
    ndarray, (pixel, channel)
        In the volume's dtype.

    Raises
    ------
    InvalidInputError
        A chunk that cannot be read, or that holds NaN or infinite values.
    """
    generator = np.random.default_rng(SAMPLE_SEED)
    pieces = _pieces(volume)
    grid = [
        1 if axis == "c" or axis in fixed else -(-size // chunk)
        for axis, size, chunk in zip(volume.axes, volume.shape, pieces, strict=True)
    ]
    numbers = _chosen_pieces(volume, pieces, grid, len(channels), generator)
    pixels_per_chunk = max(1, SAMPLE_PIXELS // (len(numbers) * len(channels)))
    parts = []
    for number in numbers:
        place = np.unravel_index(number, grid)
        region = tuple(
            slice(fixed[axis], fixed[axis] + 1)
            if axis in fixed
            else slice(int(cell) * chunk, min((int(cell) + 1) * chunk, size))
            for axis, size, chunk, cell in zip(volume.axes, volume.shape, pieces, place, strict=True)
        )
        pixels = read_channels(volume, region, channels)
        pixels = np.moveaxis(pixels, volume.axes.index("c"), -1) if "c" in volume.axes else pixels[..., np.newaxis]
        pixels = pixels.reshape(-1, len(channels))
        if len(pixels) > pixels_per_chunk:
            pixels = pixels[generator.integers(0, len(pixels), pixels_per_chunk)]
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            where = ", ".join(
                f"{axis} {part.start} to {part.stop - 1}" for axis, part in zip(volume.axes, region, strict=True)
            )
            raise InvalidInputError(
                f"{volume.name} holds NaN or infinite values ({where}). Replace them first, for instance with "
                "numpy.nan_to_num."
            )
        parts.append(pixels)
    return np.concatenate(parts)


def _pieces(volume: Volume) -> tuple[int, ...]:
    """Size along each axis of what is sampled as one."""
    sizes = volume.sizes
    is_small = sizes["y"] * sizes["x"] <= WHOLE_PLANE_PIXELS
    pieces = []
    for axis, size, chunk in zip(volume.axes, volume.shape, volume.chunks, strict=True):
        side = size if is_small else SAMPLE_SIDE
        pieces.append(min(size, chunk * -(-side // chunk)) if axis in "yx" else size if axis == "c" else chunk)
    return tuple(pieces)


def _chosen_pieces(
    volume: Volume, pieces: Sequence[int], grid: Sequence[int], channel_count: int, generator: np.random.Generator
) -> NDArray[np.integer[Any]]:
    count = int(np.prod(grid, dtype=np.int64))
    sides = [piece for axis, piece in zip(volume.axes, pieces, strict=True) if axis != "c"]
    chunk_bytes = int(np.prod(sides, dtype=np.int64)) * channel_count * volume.dtype.itemsize
    affordable = max(4, SAMPLE_BYTES // chunk_bytes)
    is_planes = all(cells == 1 for axis, cells in zip(volume.axes, grid, strict=True) if axis in "yx")
    if is_planes:
        wanted = min(count, SAMPLE_PLANES, affordable)
        return np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))
    wanted = min(count, SAMPLE_CHUNKS, affordable)
    # one place in each of as many equal stretches: spread like a grid, without a grid's chance of hitting one column
    edges = np.linspace(0, count, wanted + 1).round().astype(np.int64)
    return np.unique(generator.integers(edges[:-1], edges[1:]))

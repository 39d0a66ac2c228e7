"""Regular grids of points, and walking over them in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_core.errors import InvalidInputError


def build_point_grid(n_per_side: int) -> npt.NDArray[np.float64]:
    """Place points evenly over the unit square.

    Parameters
    ----------
    n_per_side : int
        Points along each side.

    Returns
    -------
    ndarray of float64
        (n_per_side**2, 2), x before y, in 0-1, row by row; each point is the centre of its cell.

    Raises
    ------
    InvalidInputError
        `n_per_side` below 1.
    """
    if n_per_side < 1:
        raise InvalidInputError(f"a grid has at least one point per side, got {n_per_side}")
    half_cell = 1 / (2 * n_per_side)
    centres = np.linspace(half_cell, 1 - half_cell, n_per_side)
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return np.column_stack([x.ravel(), y.ravel()])


def build_all_layer_point_grids(n_per_side: int, n_layers: int, scale_per_layer: int) -> list[npt.NDArray[np.float64]]:
    """Build the grid of the whole image and of each layer of crops.

    Parameters
    ----------
    n_per_side : int
        Points along each side of the whole image.
    n_layers : int
        Layers of crops.
    scale_per_layer : int
        By how much each layer's points per side are fewer than the one's before.

    Returns
    -------
    list of ndarray
        `n_layers` + 1 grids as of :func:`build_point_grid`.
    """
    whole_image = build_point_grid(n_per_side)
    per_side = [max(1, int(n_per_side / scale_per_layer**layer)) for layer in range(1, n_layers + 1)]
    return [whole_image, *(build_point_grid(count) for count in per_side)]


def batch_iterator(batch_size: int, *args: Any) -> Iterator[list[Any]]:
    """Walk over several sequences of one length in step, `batch_size` items at a time.

    Parameters
    ----------
    batch_size : int
        Items of each sequence in a batch; the last batch may be smaller.
    *args : sequence
        Anything with a length that can be sliced.

    Yields
    ------
    list
        One slice of each sequence.

    Raises
    ------
    InvalidInputError
        No sequences, or lengths that differ.
    """
    lengths = {len(sequence) for sequence in args}
    if len(lengths) != 1:
        raise InvalidInputError(f"batches are taken from sequences of one length, got lengths {sorted(lengths)}")
    for start in range(0, lengths.pop(), batch_size):
        yield [sequence[start : start + batch_size] for sequence in args]

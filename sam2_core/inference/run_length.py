"""Run-length encoding of masks, as COCO has it.

A mask is read column by column (Fortran order); its counts are the lengths of alternating runs of background and
object, starting with background, whose first run may be empty. Inside the project counts are an int64 array;
dictionaries ``{"size": [height, width], "counts": [...]}`` are for the outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sam2_core.errors import InvalidInputError

Counts = npt.NDArray[np.int64]
RunBounds = npt.NDArray[np.int64]


def column_run_bounds(columns: npt.NDArray[np.bool_], height: int, x: int = 0, y: int = 0) -> RunBounds:
    """Find where runs begin and end in part of an image, each column by itself.

    Parameters
    ----------
    columns : ndarray of bool
        Axes (x, y): the part, transposed.
    height : int
        Height of the whole image.
    x, y : int
        Where the part's first column and row lie in the image.

    Returns
    -------
    ndarray of int64
        Positions in the column-major order of the whole image: begin, end, begin, end, … An end is one past the last.
    """
    width, rows = columns.shape
    padded = np.zeros((width, rows + 2), dtype=np.bool_)
    padded[:, 1:-1] = columns
    flips = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    # flips counts rows + 1 places a column; the image has `height`.
    column = flips // (rows + 1)
    return flips + column * (height - rows - 1) + (x * height + y)


def counts_from_bounds(bounds: RunBounds, size: int) -> Counts:
    """Join runs that go on in the next column, and give the counts.

    Parameters
    ----------
    bounds : ndarray of int64
        As of :func:`column_run_bounds`, in order.
    size : int
        Pixels of the whole image.

    Returns
    -------
    ndarray of int64
        Lengths of alternating background and object runs; they sum to `size`.
    """
    if len(bounds):
        joins = np.flatnonzero(bounds[2::2] == bounds[1:-1:2])
        bounds = np.delete(bounds, np.concatenate([2 * joins + 1, 2 * joins + 2]))
    edges = np.concatenate([[0], bounds, [size]])
    counts: Counts = np.diff(edges)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def bounding_box(bounds: RunBounds, height: int) -> list[int]:
    """Find the box around a mask from its runs.

    Parameters
    ----------
    bounds : ndarray of int64
        As of :func:`column_run_bounds`, not yet joined across columns.
    height : int
        Height of the whole image.

    Returns
    -------
    [int, int, int, int]
        First and last column and row with a pixel, as x0, y0, x1, y1; zeros for an empty mask.
    """
    if not len(bounds):
        return [0, 0, 0, 0]
    first, last = bounds[0::2], bounds[1::2] - 1
    return [
        int(first[0] // height),
        int((first % height).min()),
        int(last[-1] // height),
        int((last % height).max()),
    ]


def mask_from_counts(counts: Sequence[int] | Counts, size: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Draw a mask from its counts: bool, axes (y, x) of `size` (height, width), stored column by column."""
    height, width = int(size[0]), int(size[1])
    lengths = np.asarray(counts, dtype=np.int64)
    total = int(lengths.sum())
    if bool((lengths < 0).any()) or total != height * width:
        raise InvalidInputError(f"a mask of {height} x {width} has {height * width} pixels, its counts sum to {total}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def mask_in_box(rle: Mapping[str, Any], box: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Draw the part of a mask in a box that holds all of it, without drawing the whole image.

    Parameters
    ----------
    rle : mapping
        Uncompressed.
    box : sequence of int
        First and last column and row as x0, y0, x1, y1.

    Returns
    -------
    ndarray of bool
        Axes (y, x), of the box.
    """
    height = int(rle["size"][0])
    x0, y0, x1, y1 = (int(side) for side in box)
    ends = np.cumsum(np.asarray(rle["counts"], dtype=np.int64))
    # the same runs, cut to the columns of the box
    first, last = x0 * height, (x1 + 1) * height
    lengths: Counts = np.diff(np.concatenate([[first], np.clip(ends, first, last)]))
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(x1 + 1 - x0, height).T[y0 : y1 + 1]


def mask_to_rle_pytorch(tensor: torch.Tensor) -> list[dict[str, Any]]:
    """Encode masks.

    Parameters
    ----------
    tensor : Tensor of bool
        (B, y, x).

    Returns
    -------
    list of dict
        For each mask ``{"size": [height, width], "counts": list of int}``, uncompressed.
    """
    height, width = tensor.shape[-2:]
    masks = tensor.detach().bool().transpose(-1, -2).cpu().numpy()
    return [
        {"size": [height, width], "counts": counts_from_bounds(column_run_bounds(m, height), height * width).tolist()}
        for m in masks
    ]


def rle_to_mask(rle: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Decode an uncompressed run-length encoding to a bool mask, axes (y, x)."""
    return mask_from_counts(rle["counts"], rle["size"])


def area_from_rle(rle: Mapping[str, Any]) -> int:
    """Count the mask's pixels without decoding it."""
    return int(sum(rle["counts"][1::2]))


def coco_encode_rle(uncompressed_rle: Mapping[str, Any]) -> dict[str, Any]:
    """Compress an encoding as COCO's tools store it; the counts become a string, so that JSON can hold them."""
    from pycocotools import mask as coco_masks

    height, width = uncompressed_rle["size"]
    compressed: dict[str, Any] = coco_masks.frPyObjects(dict(uncompressed_rle), height, width)
    compressed["counts"] = compressed["counts"].decode("ascii")
    return compressed

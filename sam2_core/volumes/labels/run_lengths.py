"""COCO's run-length encoding of all objects of a frame at once, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sam2_core.errors import InvalidInputError


def encoded_objects(labels: NDArray[Any]) -> list[tuple[int, dict[str, Any]]]:
    """Encode each object of a frame.

    One pass over the pixels finds the runs of every object, so that hundreds cost no more than one.

    Parameters
    ----------
    labels : ndarray, (y, x), unsigned integer

    Returns
    -------
    list of (int, dict)
        Object id and its COCO encoding, ``{"size": [height, width], "counts": str}``, by ascending id.
    """
    height, width = labels.shape
    # COCO counts down the columns
    pixels = labels.ravel(order="F")
    starts = np.flatnonzero(np.concatenate([[True], pixels[1:] != pixels[:-1]]))
    ends = np.append(starts[1:], pixels.size)
    values = pixels[starts]
    order = np.argsort(values, kind="stable")
    order = order[values[order] != 0]
    encoded = []
    for runs in np.split(order, np.flatnonzero(np.diff(values[order].astype(np.int64))) + 1) if order.size else []:
        # background up to the run, the run, …, background to the end
        edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        counts = np.diff(np.concatenate([[0], edges, [pixels.size]]))
        if counts[-1] == 0:
            counts = counts[:-1]
        compressed = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
        encoded.append(
            (int(values[runs[0]]), {"size": [height, width], "counts": compressed["counts"].decode("ascii")})
        )
    return encoded


def paint(labels: NDArray[Any], segmentation: Any, object_id: int) -> None:
    """Give the pixels of a COCO segmentation an id.

    Parameters
    ----------
    labels : ndarray, (y, x)
        Painted into; has to be in Fortran order.
    segmentation : dict or list
        Run lengths (compressed or not) or polygons.
    object_id : int

    Raises
    ------
    InvalidInputError
        Run lengths that do not fill the frame, or no segmentation at all.
    """
    height, width = labels.shape
    if isinstance(segmentation, list):
        if not segmentation:
            return
        polygons = coco_mask.frPyObjects(segmentation, height, width)
        segmentation = coco_mask.merge(polygons)
    try:
        size, counts = list(segmentation["size"]), segmentation["counts"]
    except (TypeError, KeyError):
        raise InvalidInputError(
            f"Expected run lengths or polygons as segmentation; got {segmentation!r:.80}."
        ) from None
    if isinstance(counts, str | bytes):
        counts = decoded_counts(counts.encode("ascii") if isinstance(counts, str) else counts)
    edges = np.cumsum(np.asarray(counts, dtype=np.int64))
    if size != [height, width] or (len(edges) and (edges[-1] != labels.size or np.any(np.diff(edges) < 0))):
        raise InvalidInputError(
            f"The run lengths of object {object_id} are for size {size} and fill {edges[-1] if len(edges) else 0} "
            f"pixels; the frame is [{height}, {width}]."
        )
    starts, ends = edges[:-1:2], edges[1::2]
    lengths = ends - starts[: len(ends)]
    # all runs at once: positions within the concatenated runs, shifted to where each run starts
    shift = np.repeat(starts[: len(ends)] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    labels.ravel(order="K")[shift + np.arange(len(shift))] = object_id


def decoded_counts(compressed: bytes) -> NDArray[np.int64]:
    """Run lengths from COCO's compressed text.

    Five bits a character, the lowest first, with the sixth bit where more follow; from the third run on each is
    stored as the difference from the one two before.
    """
    characters = np.frombuffer(compressed, dtype=np.uint8).astype(np.int64) - 48
    if not characters.size:
        return np.zeros(0, dtype=np.int64)
    is_last = (characters & 0x20) == 0
    starts = np.concatenate([[0], np.flatnonzero(is_last)[:-1] + 1])
    digits = np.arange(len(characters)) - np.repeat(starts, np.diff(np.append(starts, len(characters))))
    counts = np.add.reduceat((characters & 0x1F) << (5 * digits), starts)
    last = np.append(starts[1:], len(characters)) - 1
    is_negative = (characters[last] & 0x10) != 0
    counts -= is_negative.astype(np.int64) << (5 * (digits[last] + 1))
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts

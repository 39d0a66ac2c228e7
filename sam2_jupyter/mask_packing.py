"""Masks as bytes for the browser: run lengths or bits inside the box, whichever is shorter."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam2_core.session.mask_pixels import MaskPixels

Packing: TypeAlias = Literal["runs", "bits"]


def packed(mask: MaskPixels) -> tuple[Packing, bytes]:
    """Pack the pixels inside a mask's box, row by row.

    Returns
    -------
    (str, bytes)
        "runs": lengths of runs as little-endian uint32, not set, set, not set, …; "bits": eight to a byte, the first
        one in the highest. No bytes for an empty mask.
    """
    if not mask.inside.size:
        return "runs", b""
    runs = run_lengths(mask.inside.ravel())
    if runs.nbytes <= mask.inside.size // 8:
        return "runs", runs.tobytes()
    return "bits", np.packbits(mask.inside).tobytes()


def run_lengths(pixels: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Lengths of runs of equal pixels, those not set first (the first length may be 0).

    Parameters
    ----------
    pixels : ndarray (n,) bool
    """
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    first = [0] if not pixels[0] else [0, 0]
    edges = np.concatenate([first, changes, [pixels.size]])
    return np.diff(edges).astype("<u4")

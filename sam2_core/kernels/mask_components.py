"""Connected components of one mask that is an array: the operator for code that holds no tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.kernels.connected_components import connected_components


def mask_components(mask: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Label the 8-connected components of a mask and measure them, by the kernel that is chosen for the CPU.

    Parameters
    ----------
    mask : ndarray
        (y, x) bool.

    Returns
    -------
    labels : ndarray
        (y, x) int32: 0 outside, one positive number for each component, not necessarily consecutive.
    areas : ndarray
        (y, x) int32, pixels: each pixel holds the area of its component, 0 outside. The first pixel of the largest
        component, row by row, is ``areas.argmax()``.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        If `mask` is not a bool array (y, x).
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        got = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise InvalidTypeError(f"mask has to be a bool array (y, x), got {got}; threshold it first, as in `mask > 0`")
    if mask.ndim != 2:
        raise InvalidInputError(f"mask has to be (y, x), got the shape {mask.shape}; label masks one by one")
    # a copy: torch takes no array that is read backwards, and warns of one that cannot be written to
    labels, areas = connected_components(torch.from_numpy(mask.copy())[None, None])
    return labels[0, 0].numpy(), areas[0, 0].numpy()

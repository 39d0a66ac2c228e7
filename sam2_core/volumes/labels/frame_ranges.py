"""Sets of frames as short text: ``0-12,15``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError


def ranges_text(chosen: NDArray[np.bool_]) -> str:
    """Write which frames are chosen, such as ``0-12,15`` (both ends included); empty for none.

    Parameters
    ----------
    chosen : ndarray, (frame,), bool
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return ",".join(
        f"{first}" if last - first == 1 else f"{first}-{last - 1}"
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    )


def parsed_ranges(text: str, length: int) -> NDArray[np.bool_]:
    """Read what :func:`ranges_text` wrote: (frame,), bool.

    Raises
    ------
    InvalidInputError
        Something else, or frames beyond `length`.
    """
    chosen = np.zeros(length, dtype=np.bool_)
    try:
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            start, stop = int(first), int(last or first) + 1
            if not 0 <= start < stop <= length:
                raise ValueError  # noqa: TRY301  said below in one place
            chosen[start:stop] = True
    except ValueError:
        raise InvalidInputError(f"{text!r} does not name frames of a stack of {length}, such as 0-12,15.") from None
    return chosen

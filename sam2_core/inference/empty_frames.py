"""After how many empty frames an object is given up. Without torch: the command line asks before it loads a model."""

from __future__ import annotations

from typing import Literal

from sam2_core.errors import InvalidInputError

#: After so many frames without a pixel an object is given up along z, where it cannot come back: a cell has two ends.
EMPTY_FRAMES_ALONG_Z = 3


def empty_frames_allowed(stop_when_empty: int | Literal["auto"] | None, axis: str) -> int | None:
    """Resolve "auto": after how many empty frames in a row an object is given up; None for never.

    Raises
    ------
    InvalidInputError
        It is below 1.
    """
    if stop_when_empty == "auto":
        return EMPTY_FRAMES_ALONG_Z if axis == "z" else None
    if stop_when_empty is not None and stop_when_empty < 1:
        raise InvalidInputError(f"stop_when_empty is a number of frames, at least 1; got {stop_when_empty}.")
    return stop_when_empty

"""open_frames: any supported source as a FrameStack, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.readers import VolumeSource, open_unnamed

FrameSource: TypeAlias = VolumeSource | FrameStack


def open_frames(
    source: FrameSource,
    *,
    axis: str | None = None,
    at: Mapping[str, int] | None = None,
    channels: Sequence[int | str] | None = None,
    contrast: Contrast = None,
) -> FrameStack:
    """Open anything that holds frames; nothing but headers is read until a frame is asked for.

    The short form of ``open_volume(source).stack(axis, at, channels=channels, contrast=contrast)``, for sources of
    which it does not matter what their frames are called: an array (n, y, x), a folder of pictures and the pages of a
    plain TIFF need no axes.

    Parameters
    ----------
    source : path, URL, bytes, array, picture, list, Volume or FrameStack
        See :func:`~sam2_core.volumes.readers.open_volume`. A stack that is already open is returned as it is.
    axis : str, optional
        The axis frames are counted along ("z", "t"), needed where several are longer than one.
    at : mapping of str to int, optional
        The position on each other axis, such as ``{"t": 3}``.
    channels : sequence of int or str, optional
        Up to three channels, by number or name, shown as red, green, blue.
    contrast : None, "auto", (float, float) or ContrastLimits, default None
        ``None``: uint8 as it is, other dtypes scaled between their 1st and 99.8th percentile, taken once for the whole
        stack. "auto": the same for uint8. A pair: the intensities for black and white.

    Returns
    -------
    FrameStack
        ``len(stack)``, ``stack.frame_size`` (height, width), ``stack.read(index)`` -> (y, x, 3) uint8 RGB.

    Raises
    ------
    MissingFileError
        No such file or folder.
    InvalidInputError, InvalidTypeError
        Not a supported source, an empty folder, frames of differing size, a damaged file.
    """
    if isinstance(source, FrameStack):
        return source
    volume = open_unnamed(source)
    try:
        return volume.stack(axis, at, channels=channels, contrast=contrast)
    except BaseException:
        volume.close()
        raise

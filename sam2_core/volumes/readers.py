"""open_volume: any supported source as a Volume, through the reader that fits it best."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingFileError
from sam2_core.hooks import Registered, VolumeReader, get_plugins
from sam2_core.volumes.array_volume import ArrayReader, ListReader
from sam2_core.volumes.axes import axes_candidates, unknown_axes
from sam2_core.volumes.bioio_volume import BioioReader
from sam2_core.volumes.chosen_channels import ChosenChannels
from sam2_core.volumes.folder_volume import FolderReader
from sam2_core.volumes.picture_volume import PictureReader
from sam2_core.volumes.reader import OpenOptions, Reader
from sam2_core.volumes.source import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    is_file_of,
    is_url,
    local_path,
    named_suffix,
    open_url,
)
from sam2_core.volumes.tiff_volume import TiffReader
from sam2_core.volumes.volume import Volume
from sam2_core.volumes.zarr_volume import ZarrReader

SUPPORTED = (
    "a numpy array, a dask or zarr array, a zarr or OME-Zarr folder, zip file or URL, a TIFF stack (ImageJ, OME or "
    "plain pages), a picture (PNG, JPEG, TIFF, BMP, WebP), a folder of pictures, a video (mp4, mov, avi, mkv, webm, "
    "gif), the bytes of such a file, a list of pictures, or a CZI, ND2 or LIF file"
)

VolumeSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | Image.Image | Sequence[Any] | Volume


class VideoReader:
    """Reads videos: paths and bytes."""

    name = "video"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        fit = is_file_of(source, VIDEO_SUFFIXES, "video")
        # bytes of no known kind: FFmpeg knows more formats than their first bytes tell
        return 1 if not fit and isinstance(source, bytes) else fit

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open the video."""
        # PyAV takes a while to load and most sources are not videos
        from sam2_core.volumes.video_volume import VideoVolume

        volume = VideoVolume(source)
        options.require_single(volume.name)
        return volume


READERS: list[Reader] = [
    ArrayReader(),
    ListReader(),
    ZarrReader(),
    TiffReader(),
    PictureReader(),
    FolderReader(),
    VideoReader(),
    BioioReader(),
]
"""The built-in readers, which ``sam2_core.builtin.readers`` registers. The one that fits a source best opens it; among
equals the first, and built-in readers come before those of plugins."""


def open_volume(
    source: VolumeSource,
    *,
    axes: str | Sequence[str] | None = None,
    channels: Sequence[int | str] | None = None,
    level: int | None = None,
    scale: Mapping[str, float] | Sequence[float] | None = None,
    series: int | str | None = None,
    strict: bool = False,
) -> Volume:
    """Open an image of any size; nothing but its metadata is read until a region is asked for.

    Parameters
    ----------
    source : path, URL, bytes, array, picture, list or Volume
        A numpy, dask, xarray or zarr array (format 2 or 3, sharded or not); an OME-Zarr image (0.1 to 0.5) in a folder,
        a zip file or anything fsspec has an address for (``s3://…``, ``https://…``, ``memory://…``); a TIFF, OME-TIFF,
        BigTIFF or ImageJ stack; a folder of pictures, in natural order; a picture; a video, frame by frame exactly; the
        bytes of such a file; a list of pictures or of their paths; CZI, ND2 and LIF where bioio is installed. A volume
        that is already open is returned as it is, or, with `channels`, a view of it.
    axes : str, optional
        A letter for each dimension in the source's own order, such as ``"tzyx"``: t time, c channel, z depth, y rows,
        x columns. Needed where the source does not name its axes; corrects them where it names them wrong.
    channels : sequence of int or str, optional
        Channels to keep, by number or name, in this order. All by default.
    level : int, optional
        Resolution level of a multiscale image or a pyramid; 0, the finest, by default.
    scale : mapping of str to float, or sequence of float, optional
        Physical size of a step along axes, where the source does not give it or gives it wrong: ``{"z": 2.0}``, or one
        number for each of the last axes, such as ``(z, y, x)``.
    series : int or str, optional
        Which image, of a file or group that holds several.
    strict : bool, default False
        Whether a chunk that is missing from a zarr store is an error. By default it is read as the fill value, as the
        format has it.

    Returns
    -------
    Volume
        ``volume.axes``, ``.sizes``, ``.scale``, ``.units``; ``volume.read({"z": 3})`` reads a region, and
        ``volume.stack(along="z")`` gives the frames that the model sees.

    Raises
    ------
    MissingFileError
        Nothing at that path or URL.
    MissingDependencyError
        A format or a URL that needs a package that is not installed.
    InvalidInputError, InvalidTypeError
        Not a supported source, axes that have to be named, a damaged file.

    Examples
    --------
    >>> import numpy as np
    >>> from sam2_core import open_volume
    >>> volume = open_volume(np.zeros((30, 64, 48), np.uint16), axes="zyx", scale={"z": 0.5})
    >>> volume.sizes
    {'z': 30, 'y': 64, 'x': 48}
    >>> volume.read({"z": 3, "y": slice(0, 10)}).shape
    (10, 48)
    """
    volume = open_unnamed(source, axes=axes, level=level, series=series)
    try:
        _require_named(volume)
        steps = _checked_scale(scale, volume, is_open_already=volume is source) if scale is not None else {}
        numbers = volume.channel_numbers(channels)
    except BaseException:
        if volume is not source:
            volume.close()
        raise
    if strict:
        volume.refuse_missing()
    if channels is not None and "c" in volume.axes:
        volume = ChosenChannels(volume, numbers)
    volume.scale |= steps
    return volume


def open_unnamed(
    source: VolumeSource,
    *,
    axes: str | Sequence[str] | None = None,
    level: int | None = None,
    series: int | str | None = None,
) -> Volume:
    """Open a source whose axes may be a guess (``volume.guessed_axis``); see :func:`open_volume`."""
    if isinstance(source, Volume):
        if (axes, level, series) != (None, None, None):
            raise _open_already(source, "its axes, level and series are")
        return source
    found = _located(source)
    chosen = _best_reader(found)
    options = OpenOptions(axes, level, series)
    with get_plugins().attributed(chosen):
        volume = checked_volume(chosen.contribution.open(found, options))
    if found is not source and is_url(source):
        volume.address = str(source)
        if isinstance(found, bytes):
            volume.name = str(source).rsplit("/", 1)[-1]
    return volume


def _best_reader(source: Any) -> Registered[VolumeReader]:
    plugins = get_plugins()
    best, chosen = 0, None
    for registered in plugins.contributions(VolumeReader).values():
        with plugins.attributed(registered):
            fit = int(registered.contribution.matches(source))
        if fit > best:
            best, chosen = fit, registered
    if chosen is None:
        raise _unreadable(source)
    return chosen


def checked_volume(opened: object) -> Volume:
    """Refuse what a reader opened if it is no volume.

    Raises
    ------
    TypeError
        Saying what came.
    """
    if not isinstance(opened, Volume):
        raise TypeError(f"a reader must open a Volume; it returned {opened!r}")
    return opened


def _located(source: Any) -> Any:
    """Paths as Path, small files behind URLs as their bytes, everything else as it is."""
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    if is_url(source):
        path = local_path(source)
        if path is None:
            if named_suffix(source) in PICTURE_SUFFIXES + VIDEO_SUFFIXES:
                with open_url(source) as file:
                    return file.read()
            return source
        source = path
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if source == "":  # a variable that was never set; as a path it would mean the current folder
            raise MissingFileError('The path is empty. Name a file or folder; the current folder is "."')
        if not path.exists():
            raise MissingFileError(f"There is no file or folder {path}. Check the spelling and the current folder.")
        return path
    return source


def _unreadable(source: Any) -> InvalidInputError | InvalidTypeError:
    if isinstance(source, Path):
        return InvalidInputError(f"{source.name} is not of a kind that can be read. Expected {SUPPORTED}.")
    return InvalidTypeError(f"Cannot read an image from {type(source).__name__}. Expected {SUPPORTED}.")


def _open_already(volume: Volume, chosen: str) -> InvalidInputError:
    return InvalidInputError(
        f"{volume.name} is open already, so {chosen} chosen. Pass what it was opened from, or leave them out."
    )


def _require_named(volume: Volume) -> None:
    if not volume.guessed_axis:
        return
    guess = volume.guessed_axis
    stored = guess + ("yxc" if volume.colour else "cyx" if "c" in volume.axes else "yx")
    sizes = [volume.sizes[axis] for axis in stored]
    if len(stored) == 3:
        choices = [axes for axes in axes_candidates(sizes) if axes.endswith("yx")]
    else:
        choices = [axis + stored[1:] for axis in "zt"]
    raise unknown_axes(volume.name, sizes, choices)


def _checked_scale(
    scale: Mapping[str, float] | Sequence[float], volume: Volume, *, is_open_already: bool
) -> dict[str, float]:
    if is_open_already:
        raise _open_already(volume, "its scale is")
    steps: Mapping[str, float]
    try:
        values = [float(step) for step in (scale.values() if isinstance(scale, Mapping) else scale)]
    except (TypeError, ValueError):
        raise InvalidTypeError(
            f'scale must be positive numbers, such as {{"z": 2.0}} or (z, y, x); got {scale!r}.'
        ) from None
    if isinstance(scale, Mapping):
        steps = dict(zip(scale, values, strict=True))
    else:
        axes = volume.axes.replace("c", "")
        if not 1 <= len(values) <= len(axes):
            raise InvalidInputError(f"scale needs one number for each of the last axes of {axes}; got {scale!r}.")
        steps = dict(zip(axes[-len(values) :], values, strict=True))
    for axis, step in steps.items():
        if axis not in volume.axes.replace("c", "") or not np.isfinite(step) or step <= 0:
            raise InvalidInputError(
                f"scale gives positive numbers for axes of {volume.name} ({', '.join(volume.axes)}); got {scale!r}."
            )
    return dict(steps)

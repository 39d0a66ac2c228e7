"""open_label_writer and open_labels: any format through one door."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import LabelReading, LabelWriting, get_plugins
from sam2_core.volumes.frame_grid import FrameGrid
from sam2_core.volumes.labels.formats import (
    format_named,
    format_of_destination,
    format_of_source,
    label_formats,
    require_existing,
)
from sam2_core.volumes.labels.label_stack import ArrayLabels, LabelStack
from sam2_core.volumes.labels.label_writer import LabelWriter
from sam2_core.volumes.labels.layout import checked_layout
from sam2_core.volumes.labels.volume_labels import VolumeLabels
from sam2_core.volumes.source import local_path

LabelSource: TypeAlias = "str | os.PathLike[str] | LabelStack | Any"


def open_label_writer(
    destination: str | os.PathLike[str],
    *,
    length: int,
    frame_size: Sequence[int],
    axis: str = "z",
    format: str | None = None,
    dtype: Any = None,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    at: Mapping[str, int] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    metadata: Mapping[str, Any] | None = None,
    grid: FrameGrid | None = None,
) -> LabelWriter:
    """Open a destination for labels that are written frame by frame.

    Parameters
    ----------
    destination : str or path
        ``NAME.tif``, ``NAME.zarr``, ``IMAGE.zarr/labels/NAME``, ``NAME.json`` (COCO), ``NAME.zip`` (ImageJ ROIs), a
        folder ``01_RES`` or ``TRA`` (Cell Tracking Challenge), or any other folder with ``format="png"``.
    length : int
        Number of frames.
    frame_size : (int, int)
        (height, width).
    axis : {"z", "t", "frame"}
        What the frames are counted along; "tz" with `grid`.
    format : str, optional
        "tiff", "ome-zarr", "png", "ctc", "coco", "imagej-roi" or a plugin's; by the destination's name by default.
    dtype : dtype, optional
        uint8, uint16 or uint32, which limits the ids. By default uint16; uint8 for PNG (a palette), uint32 for COCO and
        ROIs; when resuming, that of the destination.
    spacing : (float, float, float), optional
        (frame, y, x). In an image's own store it is the image's.
    unit : str, optional
        Of the spacing, such as "micrometer".
    at : mapping of str to int, optional
        Where the frames belong on further axes, such as ``{"t": 3}``: in an image's own OME-Zarr, or for one z-stack of
        a Cell Tracking Challenge folder.
    overwrite : bool, default False
        Replace what is there, if it can be labels of this format; anything else (a picture in colours, a table, a
        folder with other files) is refused.
    resume : bool, default False
        Continue what is there: ``writer.written`` says which frames are complete.
    metadata : mapping, optional
        Model and provenance, as JSON holds it; kept with the labels. ``properties`` ({id: {…}}) and ``parents`` ({id:
        id of the object it divided from}) are put where formats have a place for them.
    grid : FrameGrid, optional
        How the frames of z-stacks over time are numbered, as ``stack.grid`` says; OME-Zarr, TIFF and Cell Tracking
        Challenge folders have axes t and z then, other formats one frame after the other.

    Returns
    -------
    LabelWriter
        A context manager.

    Raises
    ------
    DestinationExistsError
        It exists, finished or not, and neither `overwrite` nor `resume` is given. Nothing is changed.
    InvalidInputError, InvalidTypeError
        Arguments that make no sense, or a destination to resume that is something else.
    StateError
        Another process writes it.
    WriteError
        It cannot be created.

    Examples
    --------
    >>> with open_label_writer("cells.zarr", length=30, frame_size=(512, 512)) as writer:  # doctest: +SKIP
    ...     writer.write(12, labels)
    """
    if overwrite and resume:
        raise InvalidInputError("overwrite and resume exclude each other: begin again, or continue.")
    if not isinstance(destination, str | os.PathLike):
        raise InvalidTypeError(f"Labels are written to a path or a URL; got {destination!r}.")
    name = _address(destination)
    chosen = format_named(format) if format is not None else format_of_destination(name)
    kind = chosen.contribution
    if grid is not None and (grid.axes != "tz" or not kind.has_time_and_depth):
        grid, axis = None, "frame"
    layout = checked_layout(length, frame_size, axis, dtype or kind.dtype, spacing, unit, grid)
    if layout.dtype.name not in kind.dtypes:
        raise InvalidInputError(
            f"The format {kind.name} holds {', '.join(kind.dtypes)}; got dtype {layout.dtype}. For larger ids choose "
            "ome-zarr, tiff, coco or imagej-roi."
        )
    writing = LabelWriting(
        at=_checked_positions(at),
        any_dtype=dtype is None,
        overwrite=overwrite,
        resume=resume,
        metadata=_checked_metadata(metadata),
    )
    return get_plugins().call(chosen, kind.open_writer, name, layout, writing, check=_require_writer)


def open_labels(
    source: LabelSource,
    format: str | None = None,
    *,
    axis: str | None = None,
    at: Mapping[str, int] | None = None,
    length: int | None = None,
    frame_size: tuple[int, int] | None = None,
) -> LabelStack:
    """Open labels that exist, ours or another program's; frames are read when asked for.

    Parameters
    ----------
    source : str, path, array or LabelStack
        Anything :func:`open_label_writer` writes, its unfinished parts, an OME-Zarr image that has one label image,
        what else :func:`sam2_core.open_volume` opens (a folder of TIFFs, CZI, ND2, LIF), or an array (frame, y, x) or
        (y, x): numpy, dask, zarr, or the path or URL of a zarr array.
    format : str, optional
        Where the name and the content do not say it.
    axis, at : optional
        Which axis to count frames along, and the positions on others, for labels of more axes.
    length, frame_size : optional
        For ImageJ ROIs that this project did not write, which do not say how large their image was.

    Returns
    -------
    LabelStack
        ``len(stack)``, ``.frame_size``, ``.axis``, ``.dtype``, ``.spacing``, ``.read(index)``; a context manager.

    Raises
    ------
    MissingFileError
        There is no such file or folder.
    InvalidInputError, InvalidTypeError
        Not labels, damaged, frames of differing size, an object twice on a frame.
    """
    if isinstance(source, LabelStack):
        return source
    if not isinstance(source, str | os.PathLike):
        if all(hasattr(source, attribute) for attribute in ("shape", "dtype", "__getitem__")):
            return ArrayLabels(source, axis=axis or "frame")
        raise InvalidTypeError(f"Cannot read labels from {type(source).__name__}. Expected a path or an array.")
    name = _address(source)
    require_existing(name)
    chosen = format_named(format) if format is not None else format_of_source(name)
    if chosen is None:
        try:
            return VolumeLabels(name, axis=axis, at=_checked_positions(at))
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{error} For labels in a format that this name does not say, pass format= as one of "
                f"{', '.join(label_formats())}."
            ) from error
    open_existing = chosen.contribution.open_labels
    if open_existing is None:
        raise InvalidInputError(f"The format {chosen.contribution.name} is only written; labels in it cannot be read.")
    reading = LabelReading(axis=axis, at=_checked_positions(at), length=length, frame_size=frame_size)
    return get_plugins().call(chosen, open_existing, name, reading, check=_require_labels)


def _address(place: str | os.PathLike[str]) -> str:
    """Path or URL as text, ``file://`` URLs as the path that they mean."""
    name = os.fspath(place)
    local = local_path(name)
    return name if local is None else str(local)


def _require_writer(opened: object) -> None:
    if not isinstance(opened, LabelWriter):
        raise InvalidTypeError(f"open_writer must return a LabelWriter; got {opened!r:.200}")


def _require_labels(opened: object) -> None:
    if not isinstance(opened, LabelStack):
        raise InvalidTypeError(f"open_labels must return a LabelStack; got {opened!r:.200}")


def _checked_positions(at: Mapping[str, int] | None) -> dict[str, int]:
    try:
        return {str(letter): operator.index(position) for letter, position in (at or {}).items()}
    except (TypeError, AttributeError):
        raise InvalidTypeError(f'at must map axes to whole numbers, such as {{"t": 3}}; got {at!r}.') from None


def _checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        content = dict(metadata or {})
        json.dumps(content)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"metadata must be a mapping that JSON can hold (text, numbers, lists, mappings; {error}). Turn numpy "
            "values into Python's own with .item() or .tolist(), and paths into text."
        ) from error
    return content

"""convert_labels: labels from any format to any other, frame by frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import LabelFormat
from sam2_core.volumes.labels.formats import format_named, format_of_destination
from sam2_core.volumes.labels.image_check import require_labels
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.opening import LabelSource, open_label_writer, open_labels
from sam2_core.volumes.source import is_url


def convert_labels(
    source: LabelSource,
    destination: str | os.PathLike[str],
    *,
    source_format: str | None = None,
    format: str | None = None,
    dtype: Any = None,
    frames: tuple[int | None, int | None] | None = None,
    axis: str | None = None,
    at: Mapping[str, int] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    check: bool = True,
    metadata: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path | str:
    """Write labels again in another format.

    Parameters
    ----------
    source : str, path, array or LabelStack
        See :func:`open_labels`.
    destination : str or path
        See :func:`open_label_writer`.
    source_format, format : str, optional
        Of the source and the destination, where their names do not say it.
    dtype : dtype, optional
        Of the destination. By default the format's own, or the next that holds all ids; the labels are read
        once more to know it, where the source's dtype is wider.
    frames : (int, int), optional
        First frame and the one after the last, as in a slice; the destination begins with the first.
    axis, at : optional
        Which axis of the source to count along, and the positions on its others.
    overwrite, resume : bool, default False
        See :func:`open_label_writer`; a conversion that was stopped goes on with ``resume=True``.
    check : bool, default True
        Look at a few frames first, and refuse what evidently is an image of intensities.
    metadata : mapping, optional
        Instead of the source's own.
    progress : callable, optional
        Called after each frame with (frames done, frames in all).

    Returns
    -------
    Path or str
        The destination.

    Raises
    ------
    InvalidInputError
        No such frames, source and destination are the same, or the source looks like an image; also as
        :func:`open_labels` and :func:`open_label_writer`.
    """
    name = os.fspath(destination)
    chosen = (format_named(format) if format is not None else format_of_destination(name)).contribution
    if isinstance(source, str | os.PathLike) and os.path.realpath(os.fspath(source)) == os.path.realpath(name):
        raise InvalidInputError(f"Source and destination are the same, {name}. Choose another destination.")
    labels = open_labels(source, source_format, axis=axis, at=at)
    try:
        first, stop = _checked_range(frames, len(labels), labels.name)
        if check and not resume:
            require_labels(labels, range(first, stop))
        kind = dtype if dtype is not None else (None if resume else _fitting_dtype(labels, chosen, first, stop))
        with open_label_writer(
            destination,
            length=stop - first,
            frame_size=labels.frame_size,
            axis=labels.axis if labels.axis in ("z", "t") else ("t" if chosen.name == "ctc" else "frame"),
            format=chosen.name,
            dtype=kind,
            spacing=labels.spacing,
            unit=labels.unit,
            overwrite=overwrite,
            resume=resume,
            metadata=labels.metadata if metadata is None else metadata,
        ) as writer:
            for done, index in enumerate(range(first, stop)):
                if not writer.is_written(index - first):
                    writer.write(index - first, labels.read(index))
                if progress is not None:
                    progress(done + 1, stop - first)
    finally:
        if labels is not source:
            labels.close()
    return name if is_url(name) else Path(name)


def _checked_range(frames: tuple[int | None, int | None] | None, length: int, name: str) -> tuple[int, int]:
    first, stop = frames if frames is not None else (None, None)
    first, stop = (0 if first is None else int(first)), (length if stop is None else int(stop))
    if not 0 <= first < stop <= length:
        raise InvalidInputError(
            f"{name} has frames 0 to {length - 1}; frames {first} to {stop - 1} cannot be taken from it."
        )
    return first, stop


def _fitting_dtype(labels: LabelStack, chosen: LabelFormat, first: int, stop: int) -> str:
    """The format's own dtype, or the next that holds every id."""
    choices = chosen.dtypes[chosen.dtypes.index(chosen.dtype) :]
    limits = {"uint8": 2**8, "uint16": 2**16, "uint32": 2**32}
    largest = labels.layout.largest_id
    if largest >= limits[choices[0]]:
        largest = max(int(labels.read(index).max()) for index in range(first, stop))
    return next((choice for choice in choices if largest < limits[choice]), choices[-1])

"""Labels of other software, and of earlier exports, as objects of a session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_labels
from sam2_core.volumes.labels.formats import format_named, format_of_source, require_existing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.volumes.labels.label_stack import LabelStack


def import_label_file(
    session: AnnotationSession, source: str | PathLike[str], *, format: str | None = None
) -> dict[int, int]:
    """Take objects, their names and their lineage from labels in any format that is read; one step.

    Parameters
    ----------
    session : AnnotationSession
    source : path
        OME-Zarr labels, TIFF, PNG, Cell Tracking Challenge (with its table of tracks), COCO, ImageJ ROIs, or what a
        plugin reads; see :func:`sam2_core.volumes.labels.open_labels`.
    format : str, optional
        Where the name and the content do not say it.

    Returns
    -------
    dict of int to int
        The new object's id for each label.

    Raises
    ------
    MissingFileError, InvalidInputError, InvalidTypeError
        No such labels, or of other frames than the session's. Nothing is imported then.
    """
    parts = _parts(session, source, format)
    with next(parts) as labels:
        properties: Mapping[Any, Mapping[str, Any]] = labels.metadata.get("properties", {})
        parents: Mapping[Any, int] = labels.metadata.get("parents", {})
        return session.import_labels(
            _frames(labels, parts),
            # JSON has text for keys
            names={int(label): str(known["name"]) for label, known in properties.items() if "name" in known},
            parents={int(label): int(parent) for label, parent in parents.items()},
        )


def _parts(session: AnnotationSession, source: str | PathLike[str], format: str | None) -> Iterator[LabelStack]:
    """Open labels as one stack, or, of z-stacks over time in a format that has both axes, one time after the other."""
    grid = session.grid
    name = fspath(source)
    require_existing(name)
    kind = format_of_source(name) if format is None else format_named(format)
    # images of other kinds, such as a folder of TIFFs, come one frame after the other
    has_both = kind is not None and kind.contribution.has_time_and_depth
    by_time = grid is not None and grid.axes == "tz" and has_both
    times, length = (grid.sizes[0], grid.sizes[1]) if grid is not None and by_time else (1, session.frame_count)
    for time in range(times):
        if by_time:
            labels = open_labels(source, format, axis="z", at={"t": time})
        else:
            labels = open_labels(source, format, length=length, frame_size=session.frame_size)
        if len(labels) != length or tuple(labels.frame_size) != tuple(session.frame_size):
            labels.close()
            raise InvalidInputError(
                f"{source} has {len(labels)} frames of {labels.frame_size} pixels (height, width); the session "
                f"{length} of {tuple(session.frame_size)}."
            )
        yield labels


def _frames(first: LabelStack, others: Iterator[LabelStack]) -> Iterator[tuple[int, NDArray[Any]]]:
    """All frames of labels that were opened, and of those that come after them."""
    count = 0
    for labels in chain([first], others):
        with labels:
            for frame in range(len(labels)):
                yield count + frame, labels.read(frame)
            count += len(labels)

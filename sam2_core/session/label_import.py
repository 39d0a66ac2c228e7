"""Labels of other software, and of earlier exports, as objects of a session."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_labels

if TYPE_CHECKING:
    from sam2_core.session.mask_editing import MaskEditing


def import_label_file(
    session: MaskEditing, source: str | PathLike[str], *, format: str | None = None
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
    with open_labels(source, format, length=session.frame_count, frame_size=session.frame_size) as labels:
        if len(labels) != session.frame_count or tuple(labels.frame_size) != tuple(session.frame_size):
            raise InvalidInputError(
                f"{source} has {len(labels)} frames of {labels.frame_size} pixels (height, width); the session "
                f"{session.frame_count} of {tuple(session.frame_size)}."
            )
        properties: Mapping[Any, Mapping[str, Any]] = labels.metadata.get("properties", {})
        parents: Mapping[Any, int] = labels.metadata.get("parents", {})
        return session.import_labels(
            ((frame, labels.read(frame)) for frame in range(len(labels))),
            # JSON has text for keys
            names={int(label): str(known["name"]) for label, known in properties.items() if "name" in known},
            parents={int(label): int(parent) for label, parent in parents.items()},
        )

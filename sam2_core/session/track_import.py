"""Tracks of other software, and of earlier exports, as objects of a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.track_files import read_tracks
from sam2_core.session.track_graph import Tracklet, TrackNode
from sam2_core.volumes.labels import LabelStack, open_labels

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession

Place: TypeAlias = "MaskPixels | tuple[float, float]"


def import_track_file(
    session: AnnotationSession, source: str | PathLike[str], *, labels: str | PathLike[str] | None = None
) -> dict[int, int]:
    """Take objects and their lineage from a graph of tracks; one step.

    An object goes on as long as just one place follows another. Where it has a mask it gets that: the one in the
    labels, or the outline that TrackMate has kept; elsewhere it gets a click, so that it can be segmented.

    Parameters
    ----------
    session : AnnotationSession
    source : path
        A TrackMate XML file, or the folder of a GEFF.
    labels : path, optional
        Labels of the same cells, in any format that is read. A place is that of the label that the file says, where it
        says one that is on the frame, else of the label at its position.

    Returns
    -------
    dict of int to int
        The new object's id for each object of the file; those that the file does not number are numbered from 1, by
        their first frames.

    Raises
    ------
    MissingFileError, InvalidInputError, InvalidTypeError, MissingDependencyError
        No such files, or of another stack than the session's; or a session over two axes, such as "tz". Nothing is
        imported then.
    """
    if session.grid is not None:
        axes = " and ".join(session.grid.axes)
        raise InvalidInputError(
            f"Tracks are imported into a session whose frames go along one axis; those of this one go along {axes}. "
            "Import labels, or open a session along t."
        )
    graph = read_tracks(source, session.stack)
    graph.require_within(session.frame_count, session.frame_size)
    tracklets = graph.tracklets()
    if not tracklets:
        raise InvalidInputError(f"There is nothing to import: {source} has no tracks.")
    with ExitStack() as opened:
        label_stack = None
        if labels is not None:
            label_stack = opened.enter_context(
                open_labels(labels, length=session.frame_count, frame_size=session.frame_size)
            )
            if len(label_stack) != session.frame_count or tuple(label_stack.frame_size) != tuple(session.frame_size):
                raise InvalidInputError(
                    f"{labels} has {len(label_stack)} frames of {label_stack.frame_size} pixels (height, width); the "
                    f"session {session.frame_count} of {tuple(session.frame_size)}."
                )
        return session.import_tracks(
            {number: one.parents for number, one in tracklets.items()},
            _places(tracklets, label_stack),
            names={number: one.name for number, one in tracklets.items()},
        )


def _places(tracklets: dict[int, Tracklet], labels: LabelStack | None) -> Iterator[tuple[int, dict[int, Place]]]:
    on_frame: dict[int, dict[int, TrackNode]] = {}
    for number, one in tracklets.items():
        for node in one.nodes:
            on_frame.setdefault(node.frame, {})[number] = node
    for frame, nodes in sorted(on_frame.items()):
        image = None if labels is None else np.asarray(labels.read(frame))
        yield frame, {number: _place(node, image) for number, node in nodes.items()}


def _place(node: TrackNode, image: NDArray[Any] | None) -> Place:
    if image is not None:
        at = image[max(0, round(node.y)), max(0, round(node.x))]
        for label in (node.label, at):
            found = MaskPixels.cut(image == label) if label else MaskPixels.empty()
            if found.area:
                return found
    return node.pixels or (max(0.0, node.x), max(0.0, node.y))

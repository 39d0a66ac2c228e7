"""Beginning or continuing a session for an image layer; runs beside the interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_napari.frame_placement import FramePlacement
from sam2_napari.layer_stack import stack_of, volume_of
from sam2_napari.session_folders import forget, new_folder, remember
from sam2_napari.settings import use_cache_folder, worker_options

if TYPE_CHECKING:
    from napari.layers import Image

    from sam2_core.session.annotation_session import AnnotationSession


@dataclass(frozen=True)
class SessionRequest:
    """What a person wants to work on.

    Attributes
    ----------
    image : Image
    placement : FramePlacement
    channels : tuple of int, optional
        Up to three; all by default.
    model : Any
        A model's name in the catalogue, the path of its weights, or a predictor.
    worker : {"thread", "process"}
    description : mapping
        See :func:`~sam2_napari.session_folders.description_of`.
    folder : Path, optional
        That of the session, which is continued if there is one; a new one among the other sessions by default.
    """

    image: Image
    placement: FramePlacement
    channels: tuple[int, ...] | None
    model: Any
    worker: Any
    description: Mapping[str, Any]
    folder: Path | None = None


def open_session(request: SessionRequest, report: Callable[[str], object]) -> AnnotationSession:
    """Open the image and the session.

    Parameters
    ----------
    request : SessionRequest
    report : callable
        Gets sentences about what is being done.

    Raises
    ------
    Sam2Error
        The image cannot be used, or the session not be opened.
    """
    from sam2_core.session.annotation_session import JOURNAL_NAME, AnnotationSession

    report(f"Opening {request.image.name}…")
    stack = stack_of(volume_of(request.image, request.placement.axes), request.placement, request.channels)
    report("Looking at the intensities…")
    # the sample is drawn here and now, and not when the first click waits for it
    _ = stack.contrast_limits
    if request.folder is not None and (request.folder / JOURNAL_NAME).is_file():
        session = AnnotationSession.open(request.folder, stack, model=request.model, worker=request.worker)
    else:
        folder = request.folder or new_folder(request.description)
        session = AnnotationSession.create(stack, folder, model=request.model, worker=request.worker)
        remember(folder, request.description)
    use_cache_folder()
    session.worker_options.update(worker_options())
    session.share_embeddings()
    # of large frames it takes a look at the model's file, for which the viewer need not wait
    _ = session.preset
    return session


def close_session(session: AnnotationSession) -> None:
    """Close a session; one in which nothing was done is not kept."""
    is_empty = not session.history
    session.close()
    if is_empty:
        forget(session.folder)

"""annotate: from an image to a widget in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_core.errors import InvalidInputError
from sam2_core.session.annotation_session import JOURNAL_NAME, AnnotationSession
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.readers import VolumeSource, open_volume
from sam2_jupyter.positions import Positions
from sam2_jupyter.widget import AnnotationWidget

if TYPE_CHECKING:
    from sam2_core.session.job_starting import WorkerKind
    from sam2_core.session.worker.model_choice import ModelChoice

DEFAULT_MODEL = "sam2.1_hiera_micro"


def annotate(
    source: VolumeSource | FrameStack | AnnotationSession,
    folder: Path | str | None = None,
    *,
    model: ModelChoice | None = DEFAULT_MODEL,
    axis: str | None = None,
    at: Mapping[str, int] | None = None,
    plane: str = "yx",
    axes: str | Sequence[str] | None = None,
    channels: Sequence[int | str] | None = None,
    contrast: Contrast = None,
    worker: WorkerKind = "process",
    read_only: bool = False,
    **values: Any,
) -> AnnotationWidget:
    """Show an image or a stack in the notebook, to mark objects in it.

    Parameters
    ----------
    source : path, URL, array, Volume, FrameStack or AnnotationSession
        What :func:`sam2_core.open_volume` takes, or what is open already.
    folder : path, optional
        Where the work is kept; gone on with if there is a session in it. By default a temporary folder, which goes when
        the widget is closed.
    model : str, path or predictor, optional
        What segments and tracks: by default the model that ships with the package. None for prompts and hand-made masks
        only.
    axis : str, optional
        Axis along which frames are counted, such as "z" or "t"; needed only where several are longer than one. Two
        axes, such as "tz", make one session of z-stacks over time, with a slider for each.
    at : mapping of str to int, optional
        Position on each other axis that is longer than one; where `axis` is given the widget has a slider for them,
        0 at first, and each position has a session of its own in the folder.
    plane, axes, channels, contrast
        See :func:`sam2_core.open_volume` and :meth:`sam2_core.Volume.stack`.
    worker : {"process", "thread"}
        Where the model works: in a process of its own, or in a thread of the kernel.
    read_only : bool
        Look at a session that another process works on.
    **values
        Initial values of the widget's attributes, such as ``opacity=0.4``.

    Returns
    -------
    AnnotationWidget

    Raises
    ------
    MissingFileError
        There is nothing at the path.
    InvalidInputError, InvalidTypeError
        It is no image, of a wrong number of dimensions, or an axis has to be chosen.
    StateError
        Another process has the session open.

    Examples
    --------
    >>> w = annotate("cells.zarr", "my_session", axis="t")  # doctest: +SKIP
    """
    if isinstance(source, AnnotationSession):
        if folder is not None:
            raise InvalidInputError(f"This session is kept in {source.folder}; folder={folder!r} cannot be meant.")
        return AnnotationWidget(source, **values)
    place = None if folder is None else Path(folder)

    def opened(stack: FrameStack, where: Path | None) -> AnnotationSession:
        if where is not None and (where / JOURNAL_NAME).exists():
            session = AnnotationSession.open(where, stack, model=model, worker=worker, read_only=read_only)
        else:
            session = AnnotationSession.create(stack, where, model=model, worker=worker)
        session.share_embeddings()
        return session

    if isinstance(source, FrameStack):
        return AnnotationWidget(opened(source, place), owns_session=True, **values)
    volume = open_volume(source, axes=axes)
    others = [one for one in volume.axes if one not in ("c", *(axis or ""), *plane) and volume.sizes[one] > 1]
    if axis is None or not others:
        stack = volume.stack(axis, at, plane, channels, contrast)
        return AnnotationWidget(opened(stack, place), owns_session=True, **values)

    def opened_at(position: Mapping[str, int], where: Path) -> AnnotationSession:
        return opened(volume.stack(axis, position, plane, channels, contrast), where)

    positions = Positions(volume, {one: (at or {}).get(one, 0) for one in others}, place, opened_at)
    return AnnotationWidget(positions.session, positions=positions, **values)

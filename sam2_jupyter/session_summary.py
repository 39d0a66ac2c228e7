"""A session in the words of the view: what it is about, its objects, what is on a frame, its jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sam2_core.hooks import PromptType, get_plugins
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.items import MaskRecord, SessionObject
from sam2_core.session.job import Job
from sam2_core.volumes.labels import label_formats
from sam2_jupyter.frame_tiles import TILE_SIZE, FrameTiles, display_limits, display_range
from sam2_jupyter.mask_packing import packed
from sam2_jupyter.option_fields import fields_of
from sam2_jupyter.propagation import carrying_fields, everything_fields, presets, propagators
from sam2_jupyter.protocol import Payload, described_error

#: Parts of a stack of which the strip under the slider shows how many masks they have.
MOST_PARTS: Final = 1024
#: Marks of prompts that are told one by one.
MOST_MARKS: Final = 2000
#: Frames of a change that are told one by one; of more a view asks anew.
MOST_FRAMES: Final = 200


def about(session: AnnotationSession, tiles: FrameTiles) -> Payload:
    """What does not change while a session is open."""
    stack = session.stack
    height, width = session.frame_size
    axes = [axis for axis, _ in session_axes(session)]
    return {
        "session": str(session.folder),
        "name": stack.name,
        "frames": session.frame_count,
        "axes": [{"axis": axis, "length": length} for axis, length in session_axes(session)],
        "width": width,
        "height": height,
        "channels": _channels(session),
        "levels": tiles.level_count,
        "tile_size": TILE_SIZE,
        "tools": _tools(),
        "can_segment": session.can_segment,
        "read_only": session.read_only,
        "propagators": propagators() if session.can_segment else [],
        "carrying": carrying_fields() if session.can_segment and "t" in axes and len(axes) > 1 else None,
        "presets": presets(),
        "everything": everything_fields(session.model) if session.can_segment else [],
        "formats": list(label_formats()),
        "save_path": f"{stack.name.rpartition('.')[0] or stack.name}_labels.zarr",
        "positions": [],
    }


def state(session: AnnotationSession, selected: int, frame: int) -> Payload:
    """What changes: objects, what can be undone, jobs, and where masks and prompts are, as seen from a frame."""
    objects = session.objects
    prompted = {one.id: session.prompted_frames(one.id) for one in objects}
    masked = {one.id: session.masked_frames(one.id) for one in objects}
    history = session.history
    undo = next((step.label for step in reversed(history) if not step.is_undone), None)
    redo = next((step.label for step in history if step.is_undone), None)
    return {
        "objects": [_object(one, prompted[one.id], masked[one.id]) for one in objects],
        "undo": undo,
        "redo": redo,
        "preset": session.preset,
        "jobs": [job_payload(job) for job in session.jobs.active],
        "overview": _overview(session, prompted, masked, selected, frame),
    }


def masks_on(
    session: AnnotationSession, frame: int, seq: int, objects: Iterable[int] | None = None
) -> tuple[Payload, bytes]:
    """The masks on a frame, of all objects or of some.

    Returns
    -------
    (dict, bytes)
        Those named that have no mask are missing from the list.
    """
    wanted = None if objects is None else sorted(objects)
    records = session.records_on(frame)
    chosen = records if wanted is None else {one: records[one] for one in wanted if one in records}
    entries = []
    parts: list[bytes] = []
    offset = 0
    for object_id, record in chosen.items():
        packing, data = packed(session.pixels(record.mask))
        entries.append(
            {
                "object": object_id,
                "box": list(record.mask.box),
                "packing": packing,
                "offset": offset,
                "length": len(data),
                "record": _record(record),
            }
        )
        parts.append(data)
        offset += len(data)
    return {"frame": frame, "seq": seq, "objects": wanted, "masks": entries}, b"".join(parts)


def prompts_on(session: AnnotationSession, frame: int) -> Payload:
    """What was said of objects on a frame."""
    said = session.prompts_on(frame)
    prompts = [
        {
            "object": object_id,
            "points": [list(point) for point in prompt.points],
            "labels": list(prompt.labels),
            "box": None if prompt.box is None else list(prompt.box),
            "mask": prompt.mask is not None,
        }
        for object_id, prompt in said.items()
    ]
    return {"frame": frame, "prompts": prompts}


def job_payload(job: Job) -> Payload:
    """A job as it stands."""
    return {
        "id": job.id,
        "kind": job.kind,
        "label": job.label,
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "eta_seconds": job.eta_seconds,
        "error": None if job.error is None else described_error(job.error),
        "seconds": job.result if job.kind == "estimate" and job.state == "done" else None,
    }


def told_frames(frames: Iterable[int]) -> list[int] | None:
    """The frames of a change; None for so many that a view had better ask for all."""
    listed = sorted(frames)
    return listed if len(listed) <= MOST_FRAMES else None


def _channels(session: AnnotationSession) -> list[Payload]:
    stack = session.stack
    volume = stack.volume
    numbers = getattr(stack, "channels", tuple(range(stack.channel_count)))
    names = [str(number) for number in numbers]
    if volume is not None:
        names = [volume.channel_names[number] for number in numbers]
    return [
        {"name": name, "limits": list(limits), "range": list(display_range(stack, limits))}
        for name, limits in zip(names, display_limits(stack), strict=True)
    ]


def _tools() -> list[Payload]:
    found = get_plugins().contributions(PromptType)
    return [
        {
            "name": one.contribution.name,
            "summary": one.contribution.summary,
            "gesture": one.contribution.gesture,
            "key": one.contribution.key,
            "options": fields_of(one.contribution.to_prompts),
        }
        for one in found.values()
    ]


def _object(one: SessionObject, prompted: list[int], masked: list[int]) -> Payload:
    frames = prompted or masked
    return {
        "id": one.id,
        "name": one.name,
        "colour": one.colour,
        "category": one.category,
        "parents": list(one.parents),
        "prompts": len(prompted),
        "masks": len(masked),
        "first": frames[0] if frames else None,
    }


def _record(record: MaskRecord) -> Payload:
    return {
        "predicted_iou": record.predicted_iou,
        "locked": record.locked,
        "source": record.source,
        "area": record.area,
    }


def _overview(
    session: AnnotationSession, prompted: dict[int, list[int]], masked: dict[int, list[int]], selected: int, frame: int
) -> list[Payload]:
    """What a slider for each axis shows: of the last axis where the others stand, of those what is anywhere."""
    found = []
    for number, (_, length) in enumerate(session_axes(session)):

        def places(frames: list[int], number: int = number) -> NDArray[np.int64]:
            given = np.asarray(frames, np.int64)
            if session.grid is None:
                return given
            first, second = np.divmod(given, session.grid.sizes[1])
            return np.unique(first) if number == 0 else second[first == session.position(frame)[session.grid.axes[0]]]

        counts = np.zeros(length, np.int64)
        for frames in masked.values():
            counts[places(frames)] += 1
        parts = min(length, MOST_PARTS)
        starts = np.arange(parts) * length // parts
        every = sorted({place for frames in prompted.values() for place in places(frames).tolist()})
        found.append(
            {
                "coverage": np.maximum.reduceat(counts, starts).tolist(),
                "masked": int(np.count_nonzero(counts)),
                "prompts": every[:MOST_MARKS],
                "selected": places(prompted.get(selected, []))[:MOST_MARKS].tolist(),
            }
        )
    return found


def session_axes(session: AnnotationSession) -> list[tuple[str, int]]:
    """What frames are counted along, and how many there are along each; the last one runs fastest."""
    if session.grid is None:
        return [(session.stack.axis, session.frame_count)]
    return list(zip(session.grid.axes, session.grid.sizes, strict=True))

"""What a view can ask for: each kind of request and what it does to the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.hooks import Drawn
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.review import ReviewQueue
from sam2_jupyter.brush import brushed
from sam2_jupyter.protocol import Payload, Request, read_options, read_points, read_text, read_whole
from sam2_jupyter.session_summary import job_payload
from sam2_jupyter.training import train

Operation = Callable[[AnnotationSession, Payload], Payload]
CHANGEABLE: Final = ("name", "colour", "category")


def perform(session: AnnotationSession, request: Request) -> Payload:
    """Do what a view asks for; returns the answer's payload.

    Raises
    ------
    InvalidInputError
        There is no such kind of request.
    Sam2Error
        It cannot be done; the session is as it was.
    """
    operation = OPERATIONS.get(request.kind)
    if operation is None:
        raise InvalidInputError(f"There is no request {request.kind!r}; there are {', '.join(sorted(OPERATIONS))}.")
    return operation(session, request.payload)


def draw(session: AnnotationSession, payload: Payload) -> Payload:
    """Take a drawing as prompts, and have them answered."""
    frame = session.checked_frame(read_whole(payload, "frame"))
    gesture = payload.get("gesture")
    points = read_points(payload)
    positive = payload.get("positive")
    if not isinstance(positive, bool):
        raise InvalidTypeError(f"positive must be true or false; got {positive!r:.100}.")
    drawn = Drawn(
        gesture,  # type: ignore[arg-type]  # what is drawn is checked by add_drawn
        frame,
        positive,
        points=np.array(points, np.float32).reshape(-1, 2) if points and gesture != "brush" else None,
        mask=_brush_mask(points, payload.get("radius"), session.frame_size) if gesture == "brush" else None,
    )
    object_id = read_whole(payload, "object") or None
    touched = session.add_drawn(read_text(payload, "tool"), drawn, object_id, **read_options(payload))
    if session.can_segment:
        for one in touched:
            for prompted in _unanswered(session, one, frame):
                session.start_segment(one, prompted)
    return {"objects": list(touched)}


def set_points(session: AnnotationSession, payload: Payload) -> Payload:
    """Move points, or take some away, and have the rest answered."""
    object_id, frame = read_whole(payload, "object"), read_whole(payload, "frame")
    labels = payload.get("labels")
    if not isinstance(labels, list):
        raise InvalidTypeError(f"labels must be a list of 1 and 0; got {labels!r:.100}.")
    prompt = session.set_points(object_id, frame, read_points(payload), labels)
    if prompt.is_empty:
        record = session.record(object_id, frame)
        if record is not None and record.source == "prompt" and not record.locked:
            session.delete_masks(object_id, [frame])
    elif session.can_segment:
        session.start_segment(object_id, frame)
    return {}


def clear_prompt(session: AnnotationSession, payload: Payload) -> Payload:
    """Take back what was said on a frame, and the mask that answered it."""
    object_id, frame = read_whole(payload, "object"), read_whole(payload, "frame")
    record = session.record(object_id, frame)
    session.clear_prompt(object_id, frame)
    if record is not None and record.source == "prompt" and not record.locked:
        session.delete_masks(object_id, [frame])
    return {}


def segment(session: AnnotationSession, payload: Payload) -> Payload:
    """Answer the prompts of an object on a frame again."""
    return job_payload(session.start_segment(read_whole(payload, "object"), read_whole(payload, "frame")))


def propagate(session: AnnotationSession, payload: Payload) -> Payload:
    """Carry objects through the stack."""
    return job_payload(session.start_propagate(**_propagation(payload)))


def estimate(session: AnnotationSession, payload: Payload) -> Payload:
    """Tell how long it would take to carry objects through the stack, with either preset; the job's end has it."""
    return job_payload(session.start_estimate(**_propagation(payload)))


def carry(session: AnnotationSession, payload: Payload) -> Payload:
    """Carry objects' volumes from the time of a frame to others."""
    count = payload.get("count")
    direction: Any = read_text(payload, "direction")  # checked where it is used
    job = session.start_carry(
        _object_ids(payload.get("objects")),
        time=session.position(read_whole(payload, "frame")).get("t"),
        direction=direction,
        count=None if count is None else read_whole(payload, "count", least=1),
        **read_options(payload),
    )
    return job_payload(job)


def compare(session: AnnotationSession, payload: Payload) -> Payload:
    """Track objects in another way too, of z-stacks over time at the time of a frame, and note what differs."""
    frame = session.checked_frame(read_whole(payload, "frame"))
    job = session.start_compare(
        _object_ids(payload.get("objects")),
        propagator=read_text(payload, "propagator"),
        start=None if session.grid is None else frame,
        **read_options(payload),
    )
    return job_payload(job)


def change_preset(session: AnnotationSession, payload: Payload) -> Payload:
    """Look at frames in another way from now on."""
    preset: Any = read_text(payload, "preset")  # checked where it is set
    session.preset = preset
    return {"preset": session.preset}


def everything(session: AnnotationSession, payload: Payload) -> Payload:
    """Find everything on a frame."""
    return job_payload(session.start_everything(read_whole(payload, "frame"), **read_options(payload)))


def control_job(session: AnnotationSession, payload: Payload) -> Payload:
    """Cancel, stop, pause or resume a job."""
    number, what = read_whole(payload, "id"), read_text(payload, "do")
    job = next((job for job in session.jobs if job.id == number), None)
    if job is None:
        raise StateError(f"There is no job {number}; it may have ended long ago.")
    actions: dict[str, Callable[[], None]] = {
        "cancel": job.cancel,
        "stop": job.stop,
        "pause": job.pause,
        "resume": job.resume,
    }
    if what not in actions:
        raise InvalidInputError(f"A job can be told {', '.join(actions)}; got {what!r}.")
    actions[what]()
    return job_payload(job)


def undo(session: AnnotationSession, payload: Payload) -> Payload:
    """Take back what was done last."""
    return {"step": session.undo()}


def redo(session: AnnotationSession, payload: Payload) -> Payload:
    """Do again what was undone last."""
    return {"step": session.redo()}


def change_object(session: AnnotationSession, payload: Payload) -> Payload:
    """Rename, recolour or classify an object."""
    given = {name: read_text(payload, name) for name in CHANGEABLE if payload.get(name) is not None}
    session.change_object(read_whole(payload, "object"), **given)
    return {}


def delete_objects(session: AnnotationSession, payload: Payload) -> Payload:
    """Delete objects."""
    session.delete_objects(_object_ids(payload.get("objects")) or [])
    return {}


def divide_object(session: AnnotationSession, payload: Payload) -> Payload:
    """Say that an object divided in two."""
    return {"objects": [one.id for one in session.mark_division(read_whole(payload, "object"))]}


def accept(session: AnnotationSession, payload: Payload) -> Payload:
    """Lock a mask as it is, or let it go again."""
    locked = payload.get("locked", True)
    if not isinstance(locked, bool):
        raise InvalidTypeError(f"locked must be true or false; got {locked!r:.100}.")
    session.lock(read_whole(payload, "object"), read_whole(payload, "frame"), locked)
    return {"accepted": locked}


def review(session: AnnotationSession, payload: Payload) -> Payload:
    """List the most doubtful masks."""
    ranked = ReviewQueue(session).ranked()
    count = read_whole(payload, "count", least=1)
    items = [
        {
            "object": item.object_id,
            "frame": item.frame,
            "suspicion": item.suspicion,
            "reasons": sorted(item.reasons, key=lambda reason: -item.reasons[reason]),
        }
        for item in ranked[:count]
    ]
    return {"items": items, "total": len(ranked)}


def save(session: AnnotationSession, payload: Payload) -> Payload:
    """Write labels to a file or folder."""
    text = read_text(payload, "path").strip()
    if not text:
        raise InvalidInputError("Say where to save: a file or folder, such as labels.zarr or labels.tif.")
    chosen = payload.get("format")
    path = Path(text).expanduser()
    overwrite = payload.get("overwrite") is True
    job = session.start_export(path, read_text(payload, "format") if chosen else None, overwrite=overwrite)
    return {"path": str(path), **job_payload(job)}


OPERATIONS: Final[dict[str, Operation]] = {
    "accept": accept,
    "carry": carry,
    "change_object": change_object,
    "clear_prompt": clear_prompt,
    "compare": compare,
    "delete_objects": delete_objects,
    "divide_object": divide_object,
    "draw": draw,
    "estimate": estimate,
    "everything": everything,
    "job": control_job,
    "preset": change_preset,
    "propagate": propagate,
    "redo": redo,
    "review": review,
    "save": save,
    "segment": segment,
    "set_points": set_points,
    "train": train,
    "undo": undo,
}


def _propagation(payload: Payload) -> dict[str, Any]:
    """What `start_propagate` and `start_estimate` take."""
    count, start, along = (payload.get(name) for name in ("count", "start", "along"))
    return {
        "object_ids": _object_ids(payload.get("objects")),
        "propagator": read_text(payload, "propagator"),
        "count": None if count is None else read_whole(payload, "count", least=1),
        "start": None if start is None else read_whole(payload, "start"),
        "along": None if along is None else read_text(payload, "along"),
        **read_options(payload),
    }


def _unanswered(session: AnnotationSession, object_id: int, drawn_on: int) -> list[int]:
    """The frames on which a drawing prompted an object: where it was drawn, and others that have no mask yet."""
    frames = session.prompted_frames(object_id)
    return [frame for frame in frames if frame == drawn_on or session.record(object_id, frame) is None]


def _brush_mask(points: list[tuple[float, float]], radius: object, frame_size: tuple[int, int]) -> np.ndarray:
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius <= 1000:
        raise InvalidInputError(f"A brush needs a radius in pixels, above 0 and at most 1000; got {radius!r:.100}.")
    if not points:
        raise InvalidInputError("A brush stroke needs at least one point.")
    return brushed(points, float(radius), frame_size)


def _object_ids(value: object) -> Sequence[int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        raise InvalidTypeError(f"objects must be a list of ids, or null for all; got {value!r:.100}.")
    return value

"""The network at a session's service: it answers prompts and carries objects through the stack."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

from sam2_core.errors import StateError
from sam2_core.session.items import Change, MaskRecord, SessionPrompt
from sam2_core.session.mask_pixels import MaskPixels

if TYPE_CHECKING:
    from sam2_core.inference.frame_masks import FrameMasks
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.session.annotation_session import AnnotationSession

Direction = Literal["forward", "backward", "both"]


class SessionEngine:
    """Keeps what the network was told in step with a session, and writes what it finds into the session.

    The network remembers an object by its prompts, its locked masks and the frames it was tracked over. Whatever else
    changes an object (an undo, a painted mask, a merge) makes the engine tell the network anew, before its next answer.

    Parameters
    ----------
    session : AnnotationSession
    predictor : SAM2VideoPredictor
        Its weights on the device it shall run on.
    """

    def __init__(self, session: AnnotationSession, predictor: SAM2VideoPredictor) -> None:
        self._session = session
        self._predictor = predictor
        self._state = predictor.init_state(session.stack)
        self._outdated: set[int] = set()
        # what the network was told of each object and frame
        self._told: dict[int, dict[int, SessionPrompt]] = {}
        self._is_writing = threading.local()
        self._lock = threading.RLock()
        session.changed.connect(self._note)

    def close(self) -> None:
        """Let go of the network's memory of the objects."""
        self._session.changed.disconnect(self._note)
        self._state.close()

    def segment(self, object_id: int, frame: int) -> MaskRecord:
        """Answer the prompts of an object on a frame; the mask belongs to the step in which the prompt was given.

        Raises
        ------
        StateError
            There is no such object, or nothing was said of it on this frame.
        """
        with self._lock:
            session = self._session
            one = session.object(object_id)
            frame = session.checked_frame(frame)
            prompt = session.prompt(object_id, frame)
            if prompt.is_empty:
                raise StateError(
                    f"Nothing was said of {one.name} on frame {frame}; click on it, or draw a box around it."
                )
            self._bring_up_to_date([object_id], but_for=frame)
            result = self._tell(object_id, frame, prompt)
            with self._writing():
                session.answer(object_id, frame, *_found(result, object_id))
            record = session.record(object_id, frame)
            assert record is not None
            return record

    def propagate(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        start: int | None = None,
        count: int | None = None,
        direction: Direction = "both",
        should_stop: Callable[[], bool] | None = None,
    ) -> Iterator[int]:
        """Carry objects through the stack.

        One step of the history, whatever the number of frames; what came until it is stopped stays. Locked masks and
        what a person does meanwhile are never overwritten.

        Parameters
        ----------
        object_ids : sequence of int, optional
            All that have a prompt or a locked mask by default.
        start, count : int, optional
            First frame, the earliest prompt by default; and how many in each direction, all by default.
        direction : {"both", "forward", "backward"}
        should_stop : callable, optional
            Asked before each frame and group of objects; once it says True the propagation ends.

        Yields
        ------
        int
            Each frame, once its masks are in the session.

        Raises
        ------
        StateError
            There is no such object, or none has a prompt or a locked mask. At the call.
        """
        with self._lock:
            chosen = self._chosen(object_ids)
            self._bring_up_to_date(chosen)
            steps = self._predictor.propagate(
                self._state, start, count, direction=direction, objects=chosen, should_stop=should_stop
            )
        return self._propagated(steps, chosen)

    def _propagated(self, steps: Iterator[FrameMasks], chosen: list[int]) -> Iterator[int]:
        session = self._session
        step = session.begin_results(f"track {len(chosen)} objects" if len(chosen) > 1 else "track an object")
        try:
            while True:
                with self._lock:
                    result = next(steps, None)
                    if result is None:
                        return
                    found = {int(str(one)): _found(result, one) for one in result.object_ids}
                    with self._writing():
                        session.add_results(step, result.frame_index, found, "track")
                yield result.frame_index
        finally:
            session.finish_results(step)

    def _chosen(self, object_ids: Sequence[int] | None) -> list[int]:
        session = self._session
        wanted = [one.id for one in session.objects] if object_ids is None else list(dict.fromkeys(object_ids))
        known = []
        for object_id in wanted:
            one = session.object(object_id)
            if session.prompted_frames(object_id) or session.locked_frames(object_id):
                known.append(object_id)
            elif object_ids is not None:
                raise StateError(f"{one.name} cannot be tracked: click on it on some frame first.")
        if not known:
            raise StateError("There is nothing to track: click on an object first.")
        return known

    def _bring_up_to_date(self, object_ids: Sequence[int], but_for: int | None = None) -> None:
        """Tell the network anew what it was told otherwise; prompts on the frame `but_for` are told by the caller."""
        session = self._session
        for gone in set(self._told) - {one.id for one in session.objects}:
            self._forget(gone)
        for object_id in object_ids:
            told = self._told.get(object_id, {})
            wanted = {frame: session.prompt(object_id, frame) for frame in session.prompted_frames(object_id)}
            missing = {
                frame: prompt for frame, prompt in wanted.items() if told.get(frame) != prompt and frame != but_for
            }
            if object_id in self._outdated or any(frame not in wanted for frame in told):
                self._forget(object_id)
                missing = {frame: prompt for frame, prompt in wanted.items() if frame != but_for}
                for frame in session.locked_frames(object_id):
                    mask = session.mask(object_id, frame)
                    # an empty mask says that the object is not there, which the network cannot be told
                    if mask.any():
                        self._predictor.prompt_mask(self._state, frame, object_id, mask)
                        self._predictor.lock_frame(self._state, object_id, frame)
                        missing.pop(frame, None)
                        self._told.setdefault(object_id, {})[frame] = wanted.get(frame, SessionPrompt())
            for frame, prompt in sorted(missing.items()):
                self._tell(object_id, frame, prompt)

    def _tell(self, object_id: int, frame: int, prompt: SessionPrompt) -> FrameMasks:
        if prompt.mask is not None:
            mask = self._session.pixels(prompt.mask).paste(self._session.frame_size)
            result = self._predictor.prompt_mask(self._state, frame, object_id, mask)
        else:
            result = self._predictor.prompt_points(
                self._state,
                frame,
                object_id,
                np.array(prompt.points, np.float32) if prompt.points else None,
                np.array(prompt.labels, np.int32) if prompt.points else None,
                box=None if prompt.box is None else np.array(prompt.box, np.float32),
            )
        self._told.setdefault(object_id, {})[frame] = prompt
        return result

    def _forget(self, object_id: int) -> None:
        self._predictor.remove_object(self._state, object_id, need_output=False)
        self._told.pop(object_id, None)
        self._outdated.discard(object_id)

    def _note(self, change: Change) -> None:
        if not getattr(self._is_writing, "now", False) and change.what & {"mask", "object"}:
            with self._lock:
                self._outdated |= change.objects & set(self._told)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Mark the time in which the engine itself changes the session."""
        self._is_writing.now = True
        try:
            yield
        finally:
            self._is_writing.now = False


def _found(result: FrameMasks, object_id: object) -> tuple[MaskPixels, float | None, float | None]:
    """An object's mask, predicted IoU and object score."""
    row = result.object_ids.index(object_id)
    window, logits = result.part(row)
    scores = (float(result.predicted_ious[row]), float(result.object_scores[row]))
    known = [None if np.isnan(score) else score for score in scores]
    return MaskPixels.cut((logits > 0).cpu().numpy(), (window.top, window.left)), known[0], known[1]

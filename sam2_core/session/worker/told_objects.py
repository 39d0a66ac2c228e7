"""Keeps what the network was told in step with what a session says."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from sam2_core.session.worker.messages import FrameStatement, MaskData, ObjectStatement

if TYPE_CHECKING:
    from sam2_core.inference.frame_masks import FrameMasks
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState


class ToldObjects:
    """The objects that the network knows, and what it was told of them.

    The network remembers an object by its prompts, its locked masks and the frames it was tracked over. Whatever else
    changes an object (an undo, a painted mask, a merge) makes it forgotten and told anew.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    state : VideoState
    """

    def __init__(self, predictor: SAM2VideoPredictor, state: VideoState) -> None:
        self._predictor = predictor
        self._state = state
        self._told: dict[int, dict[int, FrameStatement]] = {}
        self._generations: dict[int, int] = {}
        self._latest: dict[int, ObjectStatement] = {}

    def hear(self, statements: Iterable[ObjectStatement]) -> None:
        """Take statements; nothing is told to the network yet."""
        for one in statements:
            known = self._latest.get(one.id)
            if known is None or known.revision < one.revision:
                self._latest[one.id] = one

    def outdate(self, object_ids: Iterable[int]) -> None:
        """Note that what the network found of objects does not hold any more; they are told anew when asked for."""
        for object_id in object_ids:
            if object_id in self._generations:
                self._generations[object_id] = -1

    def keep_only(self, existing: Collection[int]) -> None:
        """Forget objects that are gone."""
        for gone in [one for one in self._latest if one not in existing]:
            self._forget(gone)
            del self._latest[gone]

    def are_all_in(self, existing: Collection[int]) -> bool:
        """Whether all objects that the network knows are still there."""
        return self._told.keys() <= set(existing)

    def must_forget(self, object_id: int) -> bool:
        """Whether an object has to be told from the beginning, because what was found of it does not hold any more."""
        told, statement = self._told.get(object_id), self._latest[object_id]
        if told is None:
            return False
        return self._generations[object_id] != statement.generation or not told.keys() <= statement.frame_numbers()

    def knows(self, object_id: int) -> bool:
        """Whether the network was told of an object."""
        return object_id in self._told

    def bring_up_to_date(self, object_ids: Iterable[int], but_for: int | None = None) -> None:
        """Tell what is not known yet; prompts on the frame `but_for` are told by :meth:`answer`."""
        for object_id in object_ids:
            statement = self._latest[object_id]
            prompts = {one.frame: one for one in statement.frames if not one.locked}
            if self.must_forget(object_id):
                self._forget(object_id)
            if object_id not in self._told:
                # a mask that becomes locked makes a new generation, so that this is the only time to tell of it
                for one in statement.frames:
                    if one.locked:
                        self._tell(object_id, one)
                        self._told[object_id][one.frame] = prompts.get(one.frame, one)
            told = self._told.get(object_id, {})
            for frame, prompt in sorted(prompts.items()):
                if frame != but_for and told.get(frame) != prompt:
                    self._tell(object_id, prompt)

    def answer(self, object_id: int, frame: int, before: MaskData | None = None) -> FrameMasks | None:
        """Tell what is said of an object on a frame, and return its mask there; None if nothing is said any more.

        Clicks correct the mask that is there. Where the network has not found it itself (an undo, a merge, another
        worker in between), it is told of it first.
        """
        self.bring_up_to_date([object_id], but_for=frame)
        said = [one for one in self._latest[object_id].frames if one.frame == frame and not one.locked]
        if not said:
            return None
        known = self._state.objects.get(object_id)
        if before is not None and said[0].mask is None and (known is None or known.latest_ref(frame) is None):
            self._tell(object_id, FrameStatement(frame, mask=before))
        return self._tell(object_id, said[0])

    def close(self) -> None:
        """Let go of everything."""
        self._told.clear()
        self._latest.clear()

    def _tell(self, object_id: int, one: FrameStatement) -> FrameMasks:
        if one.mask is not None:
            mask = one.mask.mask().paste(self._state.images.frame_size)
            result = self._predictor.prompt_mask(self._state, one.frame, object_id, mask, others=False)
            if one.locked:
                self._predictor.lock_frame(self._state, object_id, one.frame)
        else:
            result = self._predictor.prompt_points(
                self._state,
                one.frame,
                object_id,
                np.array(one.points, np.float32) if one.points else None,
                np.array(one.labels, np.int32) if one.points else None,
                box=None if one.box is None else np.array(one.box, np.float32),
                others=False,
            )
        self._told.setdefault(object_id, {})[one.frame] = one
        self._generations[object_id] = self._latest[object_id].generation
        return result

    def _forget(self, object_id: int) -> None:
        self._predictor.remove_object(self._state, object_id, need_output=False)
        self._told.pop(object_id, None)
        self._generations.pop(object_id, None)

"""What trackers that look at a plane in parts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.empty_frames import empty_frames_allowed
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks
from sam2_core.inference.tile_state import PlaneObject, PlanePrompt, PlaneState
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_prompts import checked_frame_index

DEFAULT_BUDGET_BYTES = 2 * 2**30

State = TypeVar("State", bound=PlaneState)


class PlaneTracker(ABC, Generic[State]):
    """Prompts, results and frames of a tracker whose predictor sees parts of the plane; each part is called a place.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Does the work in the parts.
    memory_budget_bytes : int
        Size up to which parts are kept open. A closed one is opened again from the objects' prompts and last masks.
    """

    def __init__(self, predictor: SAM2VideoPredictor, memory_budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        if memory_budget_bytes < 0:
            raise InvalidInputError(f"memory_budget_bytes is a number of bytes, 0 or more; got {memory_budget_bytes}.")
        self.predictor = predictor
        self.memory_budget_bytes = memory_budget_bytes

    def masks_on_frame(self, state: State, frame_index: int) -> PlaneMasks:
        """Return what is known of all objects on a frame, without running the network.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        return self._results(state, frame_index, state.objects.values())

    def remove_object(self, state: State, object_id: Hashable) -> None:
        """Remove an object with everything found for it.

        Raises
        ------
        StateError
            There is no such object.
        """
        tracked = state.object(object_id)
        for place in state.videos:
            self._leave(state, tracked, place)
        state.records.forget(tracked.number)
        del state.objects[object_id]

    def propagate(
        self,
        state: State,
        start_frame: int | None = None,
        frame_count: int | None = None,
        *,
        reverse: bool = False,
        stop_when_empty: int | Literal["auto"] | None = "auto",
    ) -> Iterator[PlaneMasks]:
        """Carry the objects through the stack, frame by frame, from place to place.

        Parameters
        ----------
        state : PlaneState
            The stack, from ``init_state``.
        start_frame : int, optional
            Index of the frame to begin with; by default the earliest one with a prompt.
        frame_count : int, optional
            How many frames, the first included; by default, and at most, all that are left in this direction.
        reverse : bool
            Go towards the stack's first frame rather than its last.
        stop_when_empty : int, "auto" or None
            As for :meth:`SAM2VideoPredictor.propagate`: give up an object once its mask was empty on so many frames in
            a row, until its next prompted frame. An object that had been given up before ``start_frame`` stays so.

        Returns
        -------
        iterator of PlaneMasks
            For each frame, computed when it is asked for, all objects.

        Raises
        ------
        StateError
            There is no object.
        InvalidTypeError, InvalidInputError
            There is no such frame, or a number is negative. All of these at the call, before the first frame.
        """
        if start_frame is not None:
            start_frame = checked_frame_index(start_frame, state.num_frames)
        if frame_count is not None and frame_count < 0:
            raise InvalidInputError(f"The number of frames to track cannot be negative; got {frame_count}.")
        limit = empty_frames_allowed(stop_when_empty, state.stack.axis)
        if not state.objects:
            raise StateError("There is nothing to propagate: add points, a box or a mask for an object first.")
        if start_frame is None:
            start_frame = min(frame for tracked in state.objects.values() for frame in tracked.prompted_frames())
        left = start_frame + 1 if reverse else state.num_frames - start_frame
        count = left if frame_count is None else min(frame_count, left)
        step = -1 if reverse else 1
        return self._propagated(state, range(start_frame, start_frame + step * count, step), reverse, limit)

    @abstractmethod
    def _propagated(
        self, state: State, frames: Sequence[int], reverse: bool, stop_when_empty: int | None
    ) -> Iterator[PlaneMasks]:
        """Track all objects over some frames."""

    @abstractmethod
    def _joined(self, state: State, object_id: Hashable, parts: dict[int, ObjectMask]) -> ObjectMask:
        """Join what several places, one at least, found of one object."""

    def _results(self, state: State, frame_index: int, objects: Iterable[PlaneObject]) -> PlaneMasks:
        masks = []
        for tracked in objects:
            parts = state.records.parts(frame_index, tracked.number)
            nothing = ObjectMask.from_pixels(tracked.object_id, np.zeros((0, 0), np.bool_))
            masks.append(self._joined(state, tracked.object_id, parts) if parts else nothing)
        return PlaneMasks(frame_index, state.frame_size, masks)

    def _has_ended(
        self, state: State, tracked: PlaneObject, frame_index: int, reverse: bool, stop_when_empty: int | None
    ) -> bool:
        """Whether an object is given up before a frame, by what is on record for it; then that is put on record too."""
        if stop_when_empty is None or tracked.prompted_on(frame_index):
            return False
        places: list[int] = []
        for back in range(1, stop_when_empty + 1):
            before = frame_index + back if reverse else frame_index - back
            parts = state.records.parts(before, tracked.number)
            if not parts or tracked.prompted_on(before) or any(part.window.area for part in parts.values()):
                return False
            places = places or list(parts)
        nothing = ObjectMask.from_pixels(None, np.zeros((0, 0), np.bool_))
        state.records.put(frame_index, tracked.number, dict.fromkeys(places, nothing))
        return True

    def _answer(
        self, state: State, tracked: PlaneObject, frame_index: int, place: int, prompt: PlanePrompt
    ) -> ObjectMask:
        """Prompt one place and note the prompt."""
        self._restore(state, tracked, place, frame_index)
        answer = self._prompted(state, tracked, frame_index, place, prompt)
        tracked.add(place, frame_index, prompt)
        return answer

    def _prompted(
        self, state: State, tracked: PlaneObject, frame_index: int, place: int, prompt: PlanePrompt
    ) -> ObjectMask:
        """Prompt one place."""
        video = state.videos.open(place)
        window = state.window_of(place, frame_index)
        shown = video.images.frame_size
        if prompt.mask is not None:
            pixels = _resized(prompt.mask.pixels_in(window), shown)
            result = self.predictor.prompt_mask(video, frame_index, tracked.object_id, pixels)
        else:
            origin = np.array([window.left, window.top], np.float32)
            scale = np.array([shown[1], shown[0]], np.float32) / np.array(window.size[::-1], np.float32)
            # a point on the window's edge must not fall off it by rounding
            points = np.clip((prompt.points - origin) * scale, 0, shown[::-1]).astype(np.float32)
            box = None if prompt.box is None else ((np.reshape(prompt.box, (2, 2)) - origin) * scale).reshape(-1)
            result = self.predictor.prompt_points(
                video,
                frame_index,
                tracked.object_id,
                points if len(points) else None,
                prompt.labels if len(points) else None,
                box=box,
                clear_old_points=prompt.replaces,
            )
        state.videos.count_records(place, 1)
        return _found(result, tracked.object_id, window, state.frame_size)

    def _restore(self, state: State, tracked: PlaneObject, place: int, known_frame: int | None = None) -> None:
        """Make sure that a place knows an object: repeat its prompts there, and its mask on a frame, if it does not."""
        if tracked.object_id in state.videos.open(place).obj_ids:
            return
        prompts = tracked.prompts.get(place, {})
        for frame_index in sorted(prompts):
            for prompt in prompts[frame_index]:
                self._prompted(state, tracked, frame_index, place, prompt)
        if known_frame is not None and known_frame not in prompts:
            last = state.records.parts(known_frame, tracked.number).get(place)
            if last is not None and last.window.area:
                self._prompted(state, tracked, known_frame, place, PlanePrompt(mask=last))

    def _leave(self, state: State, tracked: PlaneObject, place: int) -> None:
        """Stop following an object in a place, if it is open; its prompts stay noted."""
        if place in state.videos:
            self.predictor.remove_object(state.videos.open(place), tracked.object_id, need_output=False)

    def _tracked_in_place(
        self,
        state: State,
        place: int,
        objects: Sequence[PlaneObject],
        frame_index: int,
        previous: int,
        reverse: bool,
    ) -> Iterator[tuple[PlaneObject, ObjectMask]]:
        """Track some objects, and no others, to a frame in one place."""
        known_before = previous if 0 <= previous < state.num_frames else None
        for tracked in objects:
            self._restore(state, tracked, place, known_before)
        video = state.videos.open(place)
        wanted = {tracked.object_id for tracked in objects}
        for object_id in video.obj_ids:
            if object_id not in wanted:
                self.predictor.remove_object(video, object_id, need_output=False)
        state.videos.count_records(place, len(objects))
        window = state.window_of(place, frame_index)
        for result in self.predictor.propagate(video, frame_index, 1, reverse=reverse):
            for tracked in objects:
                yield tracked, _found(result, tracked.object_id, window, state.frame_size)


def _found(result: FrameMasks, object_id: Hashable, window: Window, frame_size: tuple[int, int]) -> ObjectMask:
    """One object's mask out of a place's results, in pixels of the plane and inside it."""
    row = result.object_ids.index(object_id)
    top, left = window.top, window.left
    if result.frame_size == window.size:
        shown, logits = result.part(row)
        top, left = top + shown.top, left + shown.left
    else:
        whole = result.logits[row : row + 1]
        logits = functional.interpolate(whole, size=window.size, mode="bilinear", align_corners=False)[0, 0]
    found = ObjectMask.from_pixels(
        object_id,
        (logits > 0).cpu().numpy(),
        (top, left),
        float(result.predicted_ious[row]),
        float(result.object_scores[row]),
    )
    whole = Window(0, 0, *frame_size)
    return found if whole.holds(found.window) else found.cut_to(whole)


def _resized(pixels: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another size, cut where half of a pixel is covered."""
    if pixels.shape == size:
        return pixels
    shares = torch.from_numpy(pixels).float()[None, None]
    shares = functional.interpolate(shares, size=size, mode="bilinear", align_corners=False, antialias=True)
    return np.asarray((shares[0, 0] >= 0.5).numpy())

"""What a predictor does in one part of a plane, and how its answers become masks of the plane."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_state import PlaneState
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_tracker import Cancelled

DEFAULT_BUDGET_BYTES = 2 * 2**30

State = TypeVar("State", bound=PlaneState)


class PlaceTracker(ABC, Generic[State]):
    """Prompts and tracks in one part of a plane at a time; each part is called a place, and knows objects by number.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Does the work in the parts.
    memory_budget_bytes : int
        Size up to which parts are kept open; see :class:`~sam2_core.inference.open_videos.OpenVideos`.
    """

    def __init__(self, predictor: SAM2VideoPredictor, memory_budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        if memory_budget_bytes < 0:
            raise InvalidInputError(f"memory_budget_bytes is a number of bytes, 0 or more; got {memory_budget_bytes}.")
        self.predictor = predictor
        self.memory_budget_bytes = memory_budget_bytes

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
            result = self.predictor.prompt_mask(video, frame_index, tracked.number, pixels, others=False)
        else:
            origin = np.array([window.left, window.top], np.float32)
            scale = np.array([shown[1], shown[0]], np.float32) / np.array(window.size[::-1], np.float32)
            # a point on the window's edge must not fall off it by rounding
            points = np.clip((prompt.points - origin) * scale, 0, shown[::-1]).astype(np.float32)
            box = None if prompt.box is None else ((np.reshape(prompt.box, (2, 2)) - origin) * scale).reshape(-1)
            result = self.predictor.prompt_points(
                video,
                frame_index,
                tracked.number,
                points if len(points) else None,
                prompt.labels if len(points) else None,
                box=box,
                clear_old_points=prompt.replaces,
                others=False,
            )
        state.videos.count_records(place, 1)
        return _found(result, tracked, window, state.frame_size)

    def _restore(self, state: State, tracked: PlaneObject, place: int, known_frame: int | None = None) -> None:
        """Make sure that a place knows an object: repeat its prompts there, and its mask on a frame, if it does not."""
        if tracked.number in state.videos.open(place).obj_ids:
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
        """Stop following an object in a place, if it is known there; its prompts stay noted."""
        if state.videos.knows(place):
            self.predictor.remove_object(state.videos.open(place), tracked.number, need_output=False)

    def _tracked_in_place(
        self,
        state: State,
        place: int,
        objects: Sequence[PlaneObject],
        frame_index: int,
        previous: int,
        should_stop: Callable[[], bool] | None,
    ) -> list[tuple[PlaneObject, ObjectMask]]:
        """Track some objects, and no others, to a frame in one place."""
        if should_stop is not None and should_stop():
            raise Cancelled
        known_before = previous if 0 <= previous < state.num_frames else None
        for tracked in objects:
            self._restore(state, tracked, place, known_before)
        video = state.videos.open(place)
        wanted = {tracked.number for tracked in objects}
        for number in video.obj_ids:
            if number not in wanted:
                self.predictor.remove_object(video, number, need_output=False)
        state.videos.count_records(place, len(objects))
        window = state.window_of(place, frame_index)
        reverse = previous > frame_index
        state.place_at_work = place
        try:
            steps = self.predictor.propagate(video, frame_index, 1, reverse=reverse, should_stop=should_stop)
            result = next(steps, None)
        finally:
            state.place_at_work = None
        if result is None:
            raise Cancelled
        return [(tracked, _found(result, tracked, window, state.frame_size)) for tracked in objects]


def _found(result: FrameMasks, tracked: PlaneObject, window: Window, frame_size: tuple[int, int]) -> ObjectMask:
    """One object's mask out of a place's results, in pixels of the plane and inside it."""
    row = result.object_ids.index(tracked.number)
    top, left = window.top, window.left
    if result.frame_size == window.size:
        part, logits = result.part(row)
        top, left = top + part.top, left + part.left
    else:
        large = result.logits[row : row + 1]
        logits = functional.interpolate(large, size=window.size, mode="bilinear", align_corners=False)[0, 0]
    found = ObjectMask.from_pixels(
        tracked.object_id,
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

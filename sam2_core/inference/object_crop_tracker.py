"""Segment and track objects through crops that follow them: sharper for small cells."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.inference.object_crop_frames import SMALLEST_SIDE, CropFrames, crop_side, crop_window
from sam2_core.inference.place_tracker import DEFAULT_BUDGET_BYTES
from sam2_core.inference.plane_correction import PlaneCorrection
from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import NOWHERE, ObjectMask
from sam2_core.inference.tile_state import PlaneState
from sam2_core.inference.tile_tracker import TiledState, TiledTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.kernels import mask_components
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

DEFAULT_SHARE = 1 / 8
_LARGEST_SHARE = 0.5
#: Multiples of the wanted share that an object may grow or shrink to before it gets another window.
_TOO_LARGE, _TOO_SMALL = 1.6, 0.45
#: The window is laid anew when the middle of its objects is this far, as a share of its side, from its own middle.
_DRIFT = 1 / 12
#: An object this near to its window's border, as a share of the side, needs another window.
_BORDER = 1 / 24
#: Windows reach up to this many times the frame: one with few and large cells is shown with its mirror image around it,
#: since the model knows cells of an ordinary size best (nuclei of 14 in 57 pixels: IoU of a click 0.67, 0.28 without).
_LARGEST_WINDOW = 2
#: Share of a tile that an object of which a first look shows nothing is taken to span.
_UNSEEN_SHARE = 1 / 8
#: Object id, in the overview, of a click that is looked at first.
_FIRST_LOOK = object()


class CropState(PlaneState):
    """A stack being worked on in crops, as :meth:`CropTracker.init_state` hands it out; its places are the crops.

    Attributes
    ----------
    crops : list of CropFrames
        The crops, by number.
    overview : TiledState
        The stack as a first click is looked at.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        stack: FrameStack,
        overview: TiledState,
        share: float,
        budget_bytes: int,
        folder: Path | None = None,
    ) -> None:
        self.crops: list[CropFrames] = []
        self.overview = overview
        self.share = share
        self._shown_size = predictor.input_size
        super().__init__(predictor, stack, budget_bytes, folder, {"share": share})

    @property
    def largest_side(self) -> int:
        """Limit of a window's side in pixels."""
        return _LARGEST_WINDOW * max(self.frame_size)

    def frames_of(self, place: int) -> FrameStack:
        """Return the frames that a crop shows."""
        return self.crops[place]

    def window_of(self, place: int, frame_index: int) -> Window:
        """Return the part of a frame that a crop shows; it is settled from now on."""
        crop = self.crops[place]
        return crop.lay(frame_index, crop.window(frame_index))

    def place_for(self, box: Window, frame_index: int) -> int:
        """Find a crop that shows an object well on a frame, or make one around it.

        Parameters
        ----------
        box : Window
            The object's bounding box.
        frame_index : int
            The frame.

        Returns
        -------
        int
            The crop's number.
        """
        side = crop_side(max(box.size), self.share, self.largest_side)
        for place, crop in enumerate(self.crops):
            window = crop.window(frame_index)
            if crop.is_laid(frame_index) and window.size == (side, side) and self.shows_whole(window, box):
                return place
        self.crops.append(CropFrames(self.stack, crop_window(box.centre, side, self.frame_size), self._shown_size))
        return len(self.crops) - 1

    def _note_places(self) -> None:
        for place, crop in enumerate(self.crops):
            if crop.is_changed:
                self.records.note("crop", place, crop.as_note())

    def _take_up_places(self) -> None:
        self.crops += [
            CropFrames.from_note(self.stack, note, self._shown_size) for note in self.records.notes("crop").values()
        ]

    def close(self) -> None:
        """Let go of everything that is not kept in a folder; the stack stays open."""
        self.overview.close()
        super().close()

    def shows_whole(self, window: Window, box: Window) -> bool:
        """Whether an object lies far enough from a window's border, where the frame goes on beyond it."""
        margin = max(1, round(_BORDER * window.size[0]))
        height, width = self.frame_size
        inner = Window(
            window.top + margin if window.top > 0 else 0,
            window.left + margin if window.left > 0 else 0,
            window.bottom - margin if window.bottom < height else height,
            window.right - margin if window.right < width else width,
        )
        return inner.holds(box)

    def shows_well(self, window: Window, box: Window) -> bool:
        """Whether a window shows an object whole, and neither too large nor too small."""
        extent, side = max(box.size), window.size[0]
        is_largest = side >= self.largest_side
        return (
            self.shows_whole(window, box)
            and (extent <= _TOO_LARGE * self.share * side or is_largest)
            and (extent >= _TOO_SMALL * self.share * side or side <= SMALLEST_SIDE)
        )


@dataclass
class CropsFollowed:
    """Where objects are while they are followed, by their numbers.

    Attributes
    ----------
    homes : dict of int to int
        The crop of each.
    boxes : dict of int to Window
        Where each was last seen.
    """

    homes: dict[int, int]
    boxes: dict[int, Window]


class CropTracker(PlaneCorrection[CropState, CropsFollowed]):
    """Track each object in a window around it that is as large as the object needs and follows it.

    Small cells fill the model's input as large ones do, and distant parts of the plane are not looked at. A first click
    is looked at in the whole plane (or its tile) to learn the object's size, unless `object_size` says it. Objects of
    about one size that lie close together share a window and are computed as one batch. A window follows its objects
    from frame to frame; one that outgrows it, or leaves the others, is handed to another window with its mask as
    prompt.

    Methods are those of :class:`TiledTracker`: coordinates are pixels of the whole plane, results
    :class:`PlaneMasks`.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Does the work in the windows.
    share : float
        How much of its window's side an object spans at most, above 0 and up to 0.5; at least 0.7 times as much.
    object_size : float, optional
        Length of the objects in pixels. Spares the first look.
    memory_budget_bytes : int
        Size up to which windows' features and memories are kept.

    Raises
    ------
    InvalidInputError
        A share or a size out of range, or a predictor that tracks objects jointly.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        *,
        share: float = DEFAULT_SHARE,
        object_size: float | None = None,
        memory_budget_bytes: int = DEFAULT_BUDGET_BYTES,
    ) -> None:
        super().__init__(predictor, memory_budget_bytes)
        if not 0 < share <= _LARGEST_SHARE:
            raise InvalidInputError(
                f"share is how much of the window an object spans, above 0 and up to {_LARGEST_SHARE}; got {share}."
            )
        if object_size is not None and not object_size > 0:
            raise InvalidInputError(f"object_size is a length in pixels, above 0; got {object_size}.")
        require_separate_objects(predictor)
        self.share = share
        self.object_size = object_size
        self._overview = TiledTracker(predictor, memory_budget_bytes=memory_budget_bytes // 2)

    # -- prompts -------------------------------------------------------------------------------------------------------

    def _new_state(self, stack: FrameStack, folder: Path | None, store: EmbeddingStore | None) -> CropState:
        # crops go where their objects go, so that hardly one is seen again: only the first look is worth keeping
        overview = self._overview.init_state(stack, embedding_store=store)
        return CropState(self.predictor, stack, overview, self.share, self.memory_budget_bytes, folder)

    def _placed_points(
        self, state: CropState, tracked: PlaneObject, frame_index: int, prompt: PlanePrompt
    ) -> dict[int, ObjectMask]:
        prompts = [prompt] if prompt.replaces else [*tracked.prompts_on(frame_index), prompt]
        around = _around(prompts)
        place = self._place_of(state, tracked, frame_index, around)
        if place is None:
            place = state.place_for(self._first_box(state, frame_index, prompt) | around, frame_index)
        answer = self._settled(state, tracked, frame_index, place, prompts)
        sides = {state.crops[place].start.size}
        while answer.window.area:
            box_found = _main_piece(answer) | around
            if state.shows_well(state.crops[place].window(frame_index), box_found):
                break
            other = state.place_for(box_found, frame_index)
            if state.crops[other].start.size in sides:
                break
            place = other
            sides.add(state.crops[place].start.size)
            answer = self._settled(state, tracked, frame_index, place, prompts)
        return {place: answer}

    def _placed_mask(
        self, state: CropState, tracked: PlaneObject, frame_index: int, given: ObjectMask
    ) -> dict[int, ObjectMask]:
        place = state.place_for(given.window, frame_index)
        return {place: self._settled(state, tracked, frame_index, place, [PlanePrompt(mask=given)])}

    def _place_of(self, state: CropState, tracked: PlaneObject, frame_index: int, around: Window) -> int | None:
        """The crop in which an object is on a frame already, if it shows the places of its prompts."""
        for place in state.records.parts(frame_index, tracked.number):
            if state.crops[place].window(frame_index).holds(around & Window(0, 0, *state.frame_size)):
                return place
        return None

    def _first_box(self, state: CropState, frame_index: int, prompt: PlanePrompt) -> Window:
        """About where an object is, before its window is chosen."""
        if prompt.box is not None:
            return _around([prompt])
        positive = prompt.points[prompt.labels == 1]
        x, y = (positive if len(positive) else prompt.points)[0].tolist()
        size = self.object_size
        if size is None:
            look = prompt.points, prompt.labels
            found = self._overview.prompt_points(state.overview, frame_index, _FIRST_LOOK, *look)[_FIRST_LOOK]
            self._overview.remove_object(state.overview, _FIRST_LOOK)
            if found.window.area:
                return _main_piece(found, (x, y))
            size = _UNSEEN_SHARE * max(state.overview.grid.tile_size)
        half = size / 2
        return Window(math.floor(y - half), math.floor(x - half), math.ceil(y + half), math.ceil(x + half))

    def _settled(
        self, state: CropState, tracked: PlaneObject, frame_index: int, place: int, prompts: Sequence[PlanePrompt]
    ) -> ObjectMask:
        """Give an object's prompts on a frame to one crop, and to no other any more."""
        for other in tracked.prompted_on(frame_index):
            if other != place:
                tracked.forget(other, frame_index)
                self._leave(state, tracked, other)
        is_known = frame_index in tracked.prompts.get(place, {})
        for prompt in prompts[-1:] if is_known else prompts:
            answer = self._answer(state, tracked, frame_index, place, prompt)
        return answer

    # -- propagation ---------------------------------------------------------------------------------------------------

    def _followed_from(
        self, state: CropState, objects: Sequence[PlaneObject], frame_index: int, previous: int
    ) -> CropsFollowed:
        return CropsFollowed(
            {one.number: self._home_at_start(state, one, frame_index, previous) for one in objects},
            {one.number: self._known_box(state, one, (frame_index, previous)) for one in objects},
        )

    def _places(self, following: CropsFollowed, objects: Sequence[PlaneObject], frame_index: int) -> set[int]:
        for tracked in objects:
            # where it is locked it was handed to the crop that found it
            is_fixed = frame_index in tracked.prompted_frames() or tracked.is_locked(frame_index)
            if is_fixed and (prompted := tracked.prompted_on(frame_index)):
                following.homes[tracked.number] = prompted[0]
        return {following.homes[tracked.number] for tracked in objects}

    def _follow(
        self,
        state: CropState,
        following: CropsFollowed,
        objects: Sequence[PlaneObject],
        places: Sequence[int],
        frame_index: int,
        previous: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        homes, boxes = following.homes, following.boxes
        for place in places:
            here = [tracked for tracked in objects if homes[tracked.number] == place]
            self._lay(state.crops[place], frame_index, previous, [boxes[tracked.number] for tracked in here])
            for tracked, part in self._tracked_in_place(state, place, here, frame_index, previous, should_stop):
                if tracked.is_locked(frame_index):
                    (part,) = state.records.parts(frame_index, tracked.number).values()
                else:
                    state.records.put(frame_index, tracked.number, {place: part})
                if part.window.area:
                    box = boxes[tracked.number] = _main_piece(part)
                    homes[tracked.number] = self._next_home(state, tracked, frame_index, place, part, box)

    def _noted(self, following: CropsFollowed) -> dict[str, Any]:
        return {
            "homes": list(following.homes.items()),
            "boxes": [[number, astuple(box)] for number, box in following.boxes.items()],
        }

    def _following_from(self, state: CropState, note: dict[str, Any]) -> CropsFollowed:
        return CropsFollowed(dict(note["homes"]), {number: Window(*box) for number, box in note["boxes"]})

    def _home_at_start(self, state: CropState, tracked: PlaneObject, frame_index: int, previous: int) -> int:
        """The crop in which an object is followed from a frame on."""
        for known_frame in (frame_index, previous):
            # one that was handed on belongs where it was handed to
            handed = tracked.prompted_on(known_frame)
            found = [
                place
                for place in state.records.parts(known_frame, tracked.number)
                if self._is_known(state, tracked, place, previous)
            ]
            if handed or found:
                return (handed or found)[-1]
        return tracked.prompted_by_a_person()[0]

    def _is_known(self, state: CropState, tracked: PlaneObject, place: int, previous: int) -> bool:
        """Whether a place can go on with an object: not if what it was handed was taken back, and it saw nothing."""
        part = state.records.parts(previous, tracked.number).get(place) if 0 <= previous < state.num_frames else None
        return place in tracked.prompts or (part is not None and bool(part.window.area))

    def _known_box(self, state: CropState, tracked: PlaneObject, frames: Sequence[int]) -> Window:
        for frame_index in (*frames, *tracked.prompted_frames()):
            for part in state.records.parts(frame_index, tracked.number).values():
                if part.window.area:
                    return _main_piece(part)
        return NOWHERE

    def _lay(self, crop: CropFrames, frame_index: int, previous: int, boxes: Sequence[Window]) -> None:
        """Lay a crop's window on a frame so that it shows what it showed before in its middle."""
        window = crop.window(previous)
        seen = [box for box in boxes if box.area]
        if seen:
            middle = functools.reduce(operator.or_, seen).centre
            side = window.size[0]
            if max(abs(there - here) for there, here in zip(middle, window.centre, strict=True)) > _DRIFT * side:
                window = crop_window(middle, side, crop.parent.frame_size)
        crop.lay(frame_index, window)

    def _next_home(
        self, state: CropState, tracked: PlaneObject, frame_index: int, place: int, part: ObjectMask, box: Window
    ) -> int:
        """The crop in which to go on: the same, or one that an object that does not fit any more is handed to."""
        window = state.crops[place].window(frame_index)
        if state.num_frames == 1 or state.shows_well(window, box):
            return place
        other = state.place_for(box, frame_index)
        if other == place or state.crops[other].window(frame_index) == window:
            return place
        self._answer(state, tracked, frame_index, other, PlanePrompt(mask=part, is_handed=True))
        return other

    def _joined(self, state: CropState, object_id: Hashable, parts: dict[int, ObjectMask]) -> ObjectMask:
        return replace(next(iter(parts.values())), object_id=object_id)


def require_separate_objects(predictor: object) -> None:
    """Refuse a predictor that cannot be asked for one object in each crop.

    Raises
    ------
    InvalidInputError
        It tracks objects jointly.
    """
    if getattr(predictor, "joint_objects", False):
        raise InvalidInputError(
            "Objects that are tracked jointly have to be seen together, which crops around each of them do not allow. "
            'Build the predictor without joint_objects, or track with the preset "exact".'
        )


def _around(prompts: Sequence[PlanePrompt]) -> Window:
    """The smallest window that holds the points on an object, its boxes and masks."""
    windows = [prompt.mask.window for prompt in prompts if prompt.mask is not None]
    for prompt in prompts:
        corners = np.array(prompt.box, np.float32).reshape(2, 2) if prompt.box is not None else np.zeros((0, 2))
        spots = np.concatenate([corners, prompt.points])
        if len(spots):
            (x0, y0), (x1, y1) = np.floor(spots.min(axis=0)), np.ceil(spots.max(axis=0))
            windows.append(Window(int(y0), int(x0), int(y1), int(x1)))
    return functools.reduce(operator.or_, windows)


def _main_piece(found: ObjectMask, at: tuple[float, float] | None = None) -> Window:
    """Bounding box of the piece of a mask at a position (x, y), or of its largest: specks move no window."""
    labels, areas = mask_components(found.mask)
    top, left = found.window.top, found.window.left
    number = 0
    if at is not None and at in found.window:
        number = int(labels[int(at[1]) - top, int(at[0]) - left])
    piece = labels == (number or labels.flat[areas.argmax()])
    rows, columns = (np.flatnonzero(piece.any(axis=axis)) for axis in (1, 0))
    return Window(top + int(rows[0]), left + int(columns[0]), top + int(rows[-1]) + 1, left + int(columns[-1]) + 1)

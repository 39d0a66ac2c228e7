"""What trackers that look at a plane in parts have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

from sam2_core.errors import StateError
from sam2_core.inference.empty_frames import empty_frames_allowed
from sam2_core.inference.place_tracker import PlaceTracker, State
from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks
from sam2_core.inference.tile_prompts import checked_plane_mask, checked_plane_prompt
from sam2_core.inference.video_prompts import checked_frame_count, checked_frame_index
from sam2_core.inference.video_tracker import Cancelled
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import FrameSource, open_frames

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

#: What a tracker knows of where its objects are while it goes from frame to frame.
Following = TypeVar("Following")


class PlaneTracker(PlaceTracker[State], Generic[State, Following]):
    """Prompts, results and frames of a tracker whose predictor sees parts of the plane; each part is called a place.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Does the work in the parts.
    memory_budget_bytes : int
        Size up to which parts are kept open. A closed one is opened again from the objects' prompts and last masks.
    """

    def init_state(
        self,
        source: FrameSource,
        *,
        records: str | Path | None = None,
        embedding_store: EmbeddingStore | None = None,
    ) -> State:
        """Open a picture or a stack; nothing is read yet.

        Parameters
        ----------
        source : path, bytes, array, list or FrameStack
            See :func:`sam2_core.volumes.frames.open_frames`.
        records : str or path, optional
            Folder for everything that is known, which may be opened again later: the state then has the objects,
            prompts and masks that it had, and ``propagate(..., resume=True)`` goes on where it was, even after the
            process was killed. None takes a temporary folder that is removed with the state.
        embedding_store : EmbeddingStore, optional
            Where features of tiles are looked for, and kept for whoever looks at the same pixels next. They are rounded
            to its float16 then, also when they were just computed. Crops that follow objects are not kept.

        Returns
        -------
        PlaneState
            To be passed to every other method.

        Raises
        ------
        MissingFileError, InvalidInputError, InvalidTypeError
            Not a supported source, a size that does not fit it, or ``records`` holds other things.
        StateError
            ``records`` are in use, or of another stack or model.
        """
        return self._new_state(open_frames(source), None if records is None else Path(records), embedding_store)

    def prompt_points(
        self,
        state: State,
        frame_index: int,
        object_id: Hashable,
        points: Any = None,
        labels: Any = None,
        *,
        box: Any = None,
        clear_old_points: bool = True,
        others: bool = True,
    ) -> PlaneMasks:
        """Say where an object is on a frame, by points, a box, or both.

        Parameters
        ----------
        state : PlaneState
            The stack, from :meth:`init_state`.
        frame_index : int
            Index of the frame, from 0.
        object_id : hashable
            An object known by this id, or a new one.
        points : array_like, optional
            (P, 2) real numbers, each point (x, y), x first, in pixels of the plane.
        labels : array_like, optional
            (P,), given if and only if there are points: 1 on the object, 0 beside it.
        box : array_like, optional
            (4,) real numbers (x0, y0, x1, y1) in pixels of the plane.
        clear_old_points : bool
            Replace the points given earlier on this frame rather than add to them. A box needs this.
        others : bool
            Return all objects on this frame, rather than this one alone.

        Returns
        -------
        PlaneMasks

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`SAM2VideoPredictor.prompt_points`; nothing is changed then.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        prompt = checked_plane_prompt(points, labels, box, state.frame_size, replaces=clear_old_points)
        tracked = state.object_or_new(object_id)
        parts = self._placed_points(state, tracked, frame_index, prompt)
        return self._kept(state, tracked, frame_index, parts, others)

    def prompt_mask(
        self,
        state: State,
        frame_index: int,
        object_id: Hashable,
        mask: Any,
        *,
        origin: tuple[int, int] | None = None,
        others: bool = True,
    ) -> PlaneMasks:
        """Say which pixels of a frame an object covers.

        Parameters
        ----------
        state : PlaneState
            The stack, from :meth:`init_state`.
        frame_index : int
            Index of the frame, from 0.
        object_id : hashable
            An object known by this id, or a new one.
        mask : array_like or ObjectMask
            (y, x), the object is where it is not 0: of the plane's size, or of any size with ``origin``.
        origin : (int, int), optional
            (x, y) of the mask's first pixel in the plane.
        others : bool
            Return all objects on this frame, rather than this one alone.

        Returns
        -------
        PlaneMasks

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`SAM2VideoPredictor.prompt_mask`, or the mask is empty or lies outside the plane. Nothing is
            changed then.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        given = checked_plane_mask(mask, origin, state.frame_size, object_id)
        tracked = state.object_or_new(object_id)
        parts = self._placed_mask(state, tracked, frame_index, given)
        return self._kept(state, tracked, frame_index, parts, others)

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
        state.forget(tracked)
        state.commit()

    def propagate(
        self,
        state: State,
        start_frame: int | None = None,
        frame_count: int | None = None,
        *,
        reverse: bool = False,
        objects: Sequence[Hashable] | None = None,
        stop_when_empty: int | Literal["auto"] | None = "auto",
        resume: bool = False,
        already: Container[int] = (),
        should_stop: Callable[[], bool] | None = None,
    ) -> Iterator[PlaneMasks]:
        """Carry the objects through the stack, frame by frame, from place to place.

        Parameters
        ----------
        state : PlaneState
            The stack, from :meth:`init_state`.
        start_frame : int, optional
            Index of the frame to begin with; by default the earliest one with a prompt.
        frame_count : int, optional
            How many frames, the first included; by default, and at most, all that are left in this direction.
        reverse : bool
            Go towards the stack's first frame rather than its last.
        objects : sequence of hashable, optional
            Only these objects; by default all.
        stop_when_empty : int, "auto" or None
            As for :meth:`SAM2VideoPredictor.propagate`: give up an object once its mask was empty on so many frames in
            a row, until its next prompted frame. An object that had been given up before ``start_frame`` stays so.
        resume : bool
            Take up a propagation with the same arguments, objects and prompts that was broken off (also in an earlier
            process, where the state has its records in a folder): frames it had completed come from the records.
        already : container of int, optional
            With ``resume``, frames of which the caller has the results: where they had been completed, they are not
            handed out again.
        should_stop : callable, optional
            Asked before each frame and each place; once it says True the iteration ends. Of a frame that was not
            completed nothing is handed out.

        Returns
        -------
        iterator of PlaneMasks
            For each frame, computed when it is asked for, all objects.

        Raises
        ------
        StateError
            There is no object, or none of an id in ``objects``.
        InvalidTypeError, InvalidInputError
            There is no such frame, or a number is negative. All of these at the call, before the first frame.
        """
        if start_frame is not None:
            start_frame = checked_frame_index(start_frame, state.num_frames)
        if frame_count is not None:
            frame_count = checked_frame_count(frame_count)
        limit = empty_frames_allowed(stop_when_empty, state.stack.axis)
        if not state.objects:
            raise StateError("There is nothing to propagate: add points, a box or a mask for an object first.")
        chosen = list(state.objects.values()) if objects is None else [state.object(each) for each in objects]
        if start_frame is None:
            start_frame = min(frame for tracked in chosen for frame in tracked.prompted_frames())
        left = start_frame + 1 if reverse else state.num_frames - start_frame
        count = left if frame_count is None else min(frame_count, left)
        step = -1 if reverse else 1
        frames = range(start_frame, start_frame + step * count, step)
        description = {"start": start_frame, "count": count, "reverse": reverse, "stop": limit}
        run = state.begin_run(chosen, description) if resume else None
        return self._propagated(state, chosen, frames, limit, run, already, should_stop)

    def _propagated(
        self,
        state: State,
        objects: list[PlaneObject],
        frames: range,
        stop_when_empty: int | None,
        run: tuple[int, dict[str, Any]] | None,
        already: Container[int],
        should_stop: Callable[[], bool] | None,
    ) -> Iterator[PlaneMasks]:
        following: Following | None = None
        done = 0
        if run is not None and run[1]:
            done, following = run[1]["frames"], self._following_from(state, run[1]["following"])
        chosen = list(objects)
        for count, frame_index in enumerate(frames):
            objects = [tracked for tracked in objects if state.objects.get(tracked.object_id) is tracked]
            if not objects or (should_stop is not None and should_stop()):
                return
            if count < done:
                if frame_index not in already:
                    yield self._results(state, frame_index, objects)
                continue
            previous = frame_index - frames.step
            if following is None:
                following = self._followed_from(state, objects, frame_index, previous)
            going_on = [
                tracked
                for tracked in objects
                if not self._has_ended(state, tracked, frame_index, frames.step < 0, stop_when_empty)
            ]
            # to and fro, so that the places that stay open are those that come next
            places = sorted(self._places(following, going_on, frame_index), reverse=bool(count % 2))
            try:
                self._follow(state, following, going_on, places, frame_index, previous, should_stop)
            except Cancelled:
                return
            if run is not None:
                state.finish_frame(run[0], chosen, {"frames": count + 1, "following": self._noted(following)})
            state.commit()
            yield self._results(state, frame_index, objects)

    @abstractmethod
    def _followed_from(
        self, state: State, objects: Sequence[PlaneObject], frame_index: int, previous: int
    ) -> Following:
        """Say where objects are when they are followed from a frame on."""

    @abstractmethod
    def _places(self, following: Following, objects: Sequence[PlaneObject], frame_index: int) -> set[int]:
        """Say in which places objects are looked for on a frame, those prompted there included."""

    @abstractmethod
    def _follow(
        self,
        state: State,
        following: Following,
        objects: Sequence[PlaneObject],
        places: Sequence[int],
        frame_index: int,
        previous: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        """Track objects to a frame, place by place, and put what is found on record."""

    @abstractmethod
    def _noted(self, following: Following) -> dict[str, Any]:
        """Where objects are, as JSON can hold it."""

    @abstractmethod
    def _following_from(self, state: State, note: dict[str, Any]) -> Following:
        """Undo :meth:`_noted`."""

    @abstractmethod
    def _joined(self, state: State, object_id: Hashable, parts: dict[int, ObjectMask]) -> ObjectMask:
        """Join what several places, one at least, found of one object."""

    def _kept(
        self, state: State, tracked: PlaneObject, frame_index: int, parts: Mapping[int, ObjectMask], others: bool
    ) -> PlaneMasks:
        """Put what was found for a prompt on record."""
        state.objects[tracked.object_id] = tracked
        state.records.put(frame_index, tracked.number, parts)
        state.forget_runs(tracked)
        state.commit()
        return self._results(state, frame_index, state.objects.values() if others else [tracked])

    @abstractmethod
    def _new_state(self, stack: FrameStack, folder: Path | None, store: EmbeddingStore | None) -> State:
        """Make the state of a stack."""

    @abstractmethod
    def _placed_points(
        self, state: State, tracked: PlaneObject, frame_index: int, prompt: PlanePrompt
    ) -> dict[int, ObjectMask]:
        """Give points or a box to the places they are for, and return what is known of the object on the frame."""

    @abstractmethod
    def _placed_mask(
        self, state: State, tracked: PlaneObject, frame_index: int, given: ObjectMask
    ) -> dict[int, ObjectMask]:
        """Give a mask to the places it is for, and return what is known of the object on the frame."""

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
        if stop_when_empty is None or tracked.prompted_on(frame_index) or tracked.is_locked(frame_index):
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

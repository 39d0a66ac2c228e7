"""One propagation through parts of a plane as a propagator works with it: in an order it chooses, and no more."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks.frame_spans import Stretch, stretches_from
from sam2_core.hooks.propagator import Candidate, FrameDone, MemoryChoice, TrackingDirection, TrackingStep
from sam2_core.inference.place_tracker import State
from sam2_core.inference.plane_object import PlaneObject
from sam2_core.inference.propagation import passes_over
from sam2_core.inference.tile_masks import PlaneMasks
from sam2_core.inference.video_tracker import Cancelled

if TYPE_CHECKING:
    from sam2_core.inference.tile_plane import PlaneTracker


class PlaneSweeps(Generic[State]):
    """The objects and frames of one propagation through parts of a plane: a :class:`~sam2_core.hooks.Tracking`.

    Each part has memories of its own, so that a propagator can say in which order frames are tracked, and not what is
    remembered.

    Parameters
    ----------
    tracker : PlaneTracker
    state : PlaneState
    objects : sequence of hashable
        Who is tracked; they have prompts.
    start, count : int, optional
        What was asked for.
    should_stop : callable, optional
        Asked before each frame and part.
    """

    def __init__(
        self,
        tracker: PlaneTracker[State, Any],
        state: State,
        objects: Sequence[Hashable],
        *,
        start: int | None = None,
        count: int | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self._tracker = tracker
        self._state = state
        self._wanted = [state.object(one) for one in objects]
        self._should_stop = should_stop
        self._is_stopped = False
        self._swept: tuple[FrameDone, PlaneMasks] | None = None
        self.start = start
        self.count = count
        prompted = [frame for one in self._wanted for frame in one.prompted_frames()]
        self._first = min(prompted, default=0) if start is None else start

    @property
    def objects(self) -> list[Hashable]:
        """Who is tracked; those that were removed meanwhile are not."""
        return [one.object_id for one in self._present()]

    @property
    def frame_count(self) -> int:
        """How many frames the stack has."""
        return self._state.num_frames

    @property
    def mask_memories(self) -> int:
        """How many masks could be chosen to be remembered: none."""
        return 0

    @property
    def pointer_memories(self) -> int:
        """How many object pointers could be: none."""
        return 0

    def passes(self, direction: TrackingDirection) -> list[range]:
        """List the frames to go over; see :meth:`sam2_core.hooks.Tracking.passes`."""
        if direction not in ("forward", "backward", "both"):
            raise InvalidInputError(f'A direction is "forward", "backward" or "both"; got {direction!r}.')
        return [frames for frames, _ in passes_over(self._first, self.count, self.frame_count, direction)]

    def stretches(self, direction: TrackingDirection) -> list[Stretch]:
        """List the frames to go over, and who is tracked; see :meth:`sam2_core.hooks.Tracking.stretches`."""
        passes = self.passes(direction)
        if self.start is not None:
            return [(frames, None) for frames in passes]
        firsts: dict[Hashable, int] = {
            one.object_id: min(one.prompted_frames(), default=self._first) for one in self._present()
        }
        return stretches_from(firsts, self.count, self.frame_count, direction)

    def fixed_frames(self, object_id: Hashable) -> list[int]:
        """List the frames on which a person said where an object is."""
        return self._one(object_id).prompted_frames()

    def sweep(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[FrameDone]:
        """Track over frames; see :meth:`sam2_core.hooks.Tracking.sweep`.

        Raises
        ------
        InvalidInputError
            Frames are left out, or there is no such frame.
        StateError
            An object is not one of those that are tracked.
        """
        if len(frames) > 1 and abs(frames.step) != 1:
            raise InvalidInputError(f"Objects are followed from frame to frame; got every {abs(frames.step)}th.")
        wanted = None if objects is None else [self._one(one) for one in objects]
        chosen = [one.object_id for one in self._present() if wanted is None or one in wanted]
        if not chosen or not frames:
            return
        for masks in self._tracker.propagate(
            self._state,
            frames[0],
            len(frames),
            reverse=frames.step < 0,
            objects=chosen,
            should_stop=self._stops,
        ):
            done = FrameDone(masks.frame_index, tuple(masks.object_ids))
            self._swept = done, masks
            yield done
        if self._is_stopped:
            raise Cancelled

    def results(self, done: FrameDone) -> PlaneMasks:
        """Return the masks of a frame that is done."""
        swept, self._swept = self._swept, None
        if swept is not None and swept[0] is done:
            return swept[1]
        present = self.objects if done.objects is None else [self._one(one).object_id for one in done.objects]
        masks = self._tracker.masks_on_frame(self._state, done.frame)
        return PlaneMasks(
            masks.frame_index, masks.frame_size, [one for one in masks.objects if one.object_id in present]
        )

    # -- what there is not ---------------------------------------------------------------------------------------------

    def walk(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[TrackingStep]:
        """Refuse: see the class."""
        self._refuse()

    def usual_memory(self, step: TrackingStep, object_id: Hashable) -> MemoryChoice:
        """Refuse: see the class."""
        self._refuse()

    def candidates(self, step: TrackingStep, choices: Sequence[MemoryChoice]) -> list[list[Candidate]]:
        """Refuse: see the class."""
        self._refuse()

    def keep(self, candidate: Candidate) -> None:
        """Refuse: see the class."""
        self._refuse()

    def recorded(self, object_id: Hashable, frame: int) -> Candidate | None:
        """Refuse: see the class."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InvalidInputError(
            "This propagator chooses what is remembered, for which it has to see whole frames. Track with the preset "
            '"exact", or choose another propagator, such as "both".'
        )

    def _stops(self) -> bool:
        self._is_stopped = self._is_stopped or (self._should_stop is not None and self._should_stop())
        return self._is_stopped

    def _present(self) -> list[PlaneObject]:
        return [one for one in self._wanted if self._state.objects.get(one.object_id) is one]

    def _one(self, object_id: Hashable) -> PlaneObject:
        for one in self._wanted:
            if one.object_id == object_id:
                return one
        raise StateError(f"Object {object_id!r} is not one of those that are tracked.")

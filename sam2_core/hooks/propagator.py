"""A propagator: in which order frames are tracked, which mask is kept, and what the memory is made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from sam2_core.errors import InvalidInputError
from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.frame_spans import Stretch
from sam2_core.hooks.options import options_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: What the call that names a propagator says itself.
_STACK = ("state", "start", "start_frame", "count", "frame_count", "reverse", "objects", "object_ids")
_TAKEN = frozenset([*_STACK, "propagator", "keep_corrections", "stop_when_empty", "resume", "already", "should_stop"])

TrackingDirection: TypeAlias = Literal["forward", "backward", "both"]


@dataclass(frozen=True)
class FrameDone:
    """A propagator is through with a frame, and its masks may be shown; the same frame may be done more than once.

    Attributes
    ----------
    frame : int
        From 0.
    objects : sequence of hashable, optional
        Of which there is something new; all by default.
    """

    frame: int
    objects: Sequence[Hashable] | None = None


class Candidate(Protocol):
    """One possible mask of an object on a frame."""

    @property
    def object_id(self) -> Hashable:
        """Whose it is."""

    @property
    def frame(self) -> int:
        """On which frame, from 0."""

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(y, x) bool, at a quarter of the model's input size, whatever the size of the frame."""

    @property
    def predicted_iou(self) -> float:
        """The IoU that the model expects of the mask, 0 to 1."""

    @property
    def object_score(self) -> float:
        """A logit: above 0 where the model sees the object; below, all candidates are empty."""


@dataclass(frozen=True, eq=False)
class MemoryChoice:
    """What an object remembers when it is looked for on a frame, beside its prompted and locked frames.

    Attributes
    ----------
    object_id : hashable
    masks : sequence of int, Candidate or None
        At most :attr:`Tracking.mask_memories`, the latest first: a frame stands for the mask that is on record there, a
        candidate for itself, whether it was kept or not, and None leaves a place empty. The place in the sequence is
        what the model takes for the distance in time. Prompted and locked frames are read anyway, and left out here.
    pointers : sequence of int or Candidate, optional
        At most :attr:`Tracking.pointer_memories`: whose object pointers are read. The frames of `masks` by default.
    """

    object_id: Hashable
    masks: Sequence[int | Candidate | None] = ()
    pointers: Sequence[int | Candidate] | None = None

    @classmethod
    def of(
        cls, tracking: Tracking, step: TrackingStep, object_id: Hashable, remembered: Sequence[int | Candidate]
    ) -> MemoryChoice:
        """Choose as many as the model can remember, each as far away as it is if there is a place for that.

        Parameters
        ----------
        tracking : Tracking
        step : TrackingStep
            The frame on which the object is looked for.
        object_id : hashable
        remembered : sequence of int or Candidate
            Frames, or candidates, the latest first.
        """
        chosen = remembered[: tracking.mask_memories]
        places: list[int | Candidate | None] = [None] * tracking.mask_memories
        place = -1
        for position, one in enumerate(chosen):
            distance = abs(step.frame - (one if isinstance(one, int) else one.frame))
            # older ones move up to the farthest places that leave room for those still to come
            farthest = tracking.mask_memories - (len(chosen) - position)
            place = max(place + 1, min(distance - 1, farthest))
            places[place] = one
        return cls(object_id, places, remembered[: tracking.pointer_memories])


@dataclass(frozen=True, eq=False)
class TrackingStep:
    """One frame that a propagator goes over.

    Attributes
    ----------
    frame : int
    reverse : bool
        Whether towards the first frame of the stack.
    objects : tuple of hashable
        Who is looked for here: those that are still there, were not given up, and have no mask of a person's here.
    fixed : tuple of hashable
        Whose mask here comes from a prompt or is locked, and stays.
    is_done : bool
        Whether an earlier run that is being resumed went over this frame: :meth:`Tracking.recorded` has what it kept.
    """

    frame: int
    reverse: bool
    objects: tuple[Hashable, ...]
    fixed: tuple[Hashable, ...]
    is_done: bool


class Tracking(Protocol):
    """What a propagator works with: the objects of one propagation, the frames, and the network.

    There are two levels. :meth:`sweep` tracks as the model was made to, and a propagator only says in which order.
    :meth:`walk`, :meth:`candidates` and :meth:`keep` leave to it which memory is read and which mask is taken.
    """

    @property
    def objects(self) -> list[Hashable]:
        """Who is tracked; it may change between two frames, when objects are added or removed."""

    @property
    def frame_count(self) -> int:
        """How many frames the stack has."""

    @property
    def start(self) -> int | None:
        """The frame to begin with that was asked for; None where none was."""

    @property
    def count(self) -> int | None:
        """How many frames in each direction, the first included, at most; None for all."""

    @property
    def mask_memories(self) -> int:
        """How many masks can be remembered beside those of prompted and locked frames."""

    @property
    def pointer_memories(self) -> int:
        """How many object pointers can be."""

    def passes(self, direction: TrackingDirection) -> list[range]:
        """List the frames to go over as `start` and `count` say; "both" is forward, then backward from before it.

        Where no start was asked for it is the first frame with a prompt. A range with a negative step goes backward.
        """

    def stretches(self, direction: TrackingDirection) -> list[Stretch]:
        """List the frames to go over, and who is tracked there, so that each object begins with its own first prompt.

        Where a start was asked for, all objects begin there.

        Returns
        -------
        list of (range, sequence of hashable or None)
            To be passed to :meth:`sweep` or :meth:`walk` one after another: for "both" those that go forward, then
            those that go backward. Objects join where they were first prompted, and leave after `count` frames; None
            stands for all objects. Of each direction a frame comes once.
        """

    def fixed_frames(self, object_id: Hashable) -> list[int]:
        """List, in order, the frames on which an object's mask comes from a prompt or is locked."""

    def sweep(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[FrameDone]:
        """Track as the model was made to.

        Parameters
        ----------
        frames : range
            With a negative step, backward.
        objects : iterable of hashable, optional
            All by default.

        Yields
        ------
        FrameDone
            To be passed on.
        """

    def walk(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[TrackingStep]:
        """Go over frames, on which nothing is tracked but what the propagator keeps.

        Parameters
        ----------
        frames : range
            With a negative step, backward.
        objects : iterable of hashable, optional
            All by default.

        Yields
        ------
        TrackingStep
            A frame. It ends when the next one is asked for.
        """

    def usual_memory(self, step: TrackingStep, object_id: Hashable) -> MemoryChoice:
        """Return what :meth:`sweep` would have an object remember."""

    def candidates(self, step: TrackingStep, choices: Sequence[MemoryChoice]) -> list[list[Candidate]]:
        """Look for objects on a frame, each with a memory that was chosen for it; nothing is put on record.

        Choices that remember as much are computed together where that is faster. An object may come more than once.

        Parameters
        ----------
        step : TrackingStep
            From :meth:`walk`, which has not gone on.
        choices : sequence of MemoryChoice

        Returns
        -------
        list of list of Candidate
            For each choice its candidates, one or three, in the order of the network's outputs; :meth:`sweep` takes the
            one with the highest predicted IoU.

        Raises
        ------
        StateError
            A frame is remembered that has no record, or `step` is over.
        InvalidInputError
            More is remembered than the model can.
        """

    def keep(self, candidate: Candidate) -> None:
        """Put a candidate on record as its object's mask on its frame; one of an earlier step replaces what was kept.

        Raises
        ------
        StateError
            The mask there comes from a prompt or is locked.
        """

    def recorded(self, object_id: Hashable, frame: int) -> Candidate | None:
        """Return what is on record of an object on a frame; None where nothing is, and beyond the stack."""


@dataclass(frozen=True, kw_only=True)
class Propagator(Contribution):
    """Carries objects through the stack.

    Attributes
    ----------
    propagate : callable
        ``propagate(tracking: Tracking, *, …options) -> Iterator[FrameDone]``, a generator. Its keyword-only parameters
        are the options, each with a type and a default; one named ``direction`` gets the direction that a person
        chose. Between two frames the caller may stop for good, change objects, or show what was found.
    """

    propagate: Callable[..., Iterator[FrameDone]]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.propagate, self, "propagate")
        taken = sorted(_TAKEN & {option.name for option in options_of(self.propagate)})
        if taken:
            raise InvalidInputError(
                f"Options of the propagator {self.name!r} must have other names than {', '.join(taken)}: the call that "
                "names the propagator uses these itself."
            )

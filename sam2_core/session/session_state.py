"""Reading a session, and the one way in which it is changed: steps of the journal, each followed by one event."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.session.items import Change, MaskRecord, MaskReference, SessionObject, SessionPrompt
from sam2_core.session.journal import RESERVED, Document, DocumentChange, Journal, Key, StepInfo
from sam2_core.session.mask_pixels import EMPTY, Box, MaskPixels, union_box

if TYPE_CHECKING:
    from sam2_core.volumes.frame_grid import FrameGrid

OBJECT, PROMPT, MASK, DISAGREEMENT = "object", "prompt", "mask", "disagreement"
#: Documents that an object has on frames, and takes along when it is deleted.
ON_FRAMES = (PROMPT, MASK, DISAGREEMENT)
Changes: TypeAlias = list[tuple[Key, Document | None]]
Priority: TypeAlias = Literal["surest", "lower id", "higher id"]
Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def alone(
    method: Callable[Concatenate[Any, Given], Returned],
) -> Callable[Concatenate[Any, Given], Returned]:
    """Let a method that reads and then changes go on alone; its events are emitted once others may go on too."""

    @functools.wraps(method)
    def wrapped(self: Any, *args: Given.args, **kwargs: Given.kwargs) -> Returned:
        with self._alone():
            return method(self, *args, **kwargs)

    return cast("Callable[Concatenate[Any, Given], Returned]", wrapped)


class SessionState:
    """What is known of a stack's objects.

    Everything is read from the journal, so that memory does not grow with the number of frames. Calls may come from any
    thread.

    Parameters
    ----------
    journal : Journal
    frame_count : int
    frame_size : tuple of int
        (height, width) in pixels.
    """

    #: Emitted with a :class:`Change` after each change has been written, in the thread that made it.
    changed = Signal(Change)

    def __init__(self, journal: Journal, *, frame_count: int, frame_size: tuple[int, int]) -> None:
        self._journal = journal
        self.frame_count = frame_count
        self.frame_size = frame_size
        self._waiting = threading.local()

    # Reading

    @property
    def grid(self) -> FrameGrid | None:
        """How the frames of a stack along two axes are numbered; None for a stack along one."""
        return None

    @property
    def objects(self) -> list[SessionObject]:
        """All objects, by id."""
        return [SessionObject.read(key.a, document) for key, document in self._journal.items(OBJECT)]

    def has_object(self, object_id: int) -> bool:
        """Whether there is an object of that id."""
        return self._journal.get(Key(OBJECT, self._checked_id(object_id))) is not None

    def object(self, object_id: int) -> SessionObject:
        """Find an object.

        Raises
        ------
        StateError
            There is none of that id.
        """
        object_id = self._checked_id(object_id)
        document = self._journal.get(Key(OBJECT, object_id))
        if document is None:
            known = ", ".join(str(a) for a, _ in self._journal.keys(OBJECT)) or "none yet"
            raise StateError(f"There is no object {object_id} in this session. Its objects: {known}.")
        return SessionObject.read(object_id, document)

    def prompt(self, object_id: int, frame: int) -> SessionPrompt:
        """What was said of an object on a frame; an empty prompt if nothing."""
        document = self._journal.get(Key(PROMPT, self._checked_id(object_id), self.checked_frame(frame)))
        return SessionPrompt() if document is None else SessionPrompt.read(document)

    def prompted_frames(self, object_id: int) -> list[int]:
        """List the frames on which something was said of an object."""
        return [frame for _, frame in self._journal.keys(PROMPT, a=self._checked_id(object_id))]

    def prompts_on(self, frame: int) -> dict[int, SessionPrompt]:
        """What was said of objects on a frame, by object id."""
        found = self._journal.items(PROMPT, b=self.checked_frame(frame))
        return {key.a: SessionPrompt.read(document) for key, document in found}

    def record(self, object_id: int, frame: int) -> MaskRecord | None:
        """What is known of an object's mask on a frame."""
        document = self._journal.get(Key(MASK, self._checked_id(object_id), self.checked_frame(frame)))
        return None if document is None else MaskRecord.read(document)

    def records(self, object_id: int) -> dict[int, MaskRecord]:
        """What is known of an object's masks, by frame in order; without their pixels."""
        found = self._journal.items(MASK, a=self._checked_id(object_id))
        return {key.b: MaskRecord.read(document) for key, document in found}

    def records_on(self, frame: int) -> dict[int, MaskRecord]:
        """What is known of all objects' masks on a frame, by object id; without their pixels."""
        found = self._journal.items(MASK, b=self.checked_frame(frame))
        return {key.a: MaskRecord.read(document) for key, document in found}

    def pixels(self, reference: MaskReference) -> MaskPixels:
        """The pixels that a record or a prompt refers to."""
        if reference.pixels is None:
            return MaskPixels.empty()
        return MaskPixels.decode(reference.box, self._journal.blob(reference.pixels))

    def locked_frames(self, object_id: int) -> list[int]:
        """List the frames on which an object's mask is locked."""
        return [frame for frame, record in self.records(object_id).items() if record.locked]

    def masked_frames(self, object_id: int) -> list[int]:
        """List the frames on which an object has a mask, which may be empty."""
        return [frame for _, frame in self._journal.keys(MASK, a=self._checked_id(object_id))]

    def mask(self, object_id: int, frame: int) -> NDArray[np.bool_]:
        """An object's mask on a frame: (y, x), bool; all False where none is known."""
        record = self.record(object_id, frame)
        if record is None:
            self.object(object_id)
            return np.zeros(self.frame_size, bool)
        return self.pixels(record.mask).paste(self.frame_size)

    def labels(
        self, frame: int, *, priority: Priority | Sequence[int] = "surest", objects: Iterable[int] | None = None
    ) -> NDArray[np.int32]:
        """The objects on a frame as one label image.

        Masks may overlap; labels cannot. They are a view of the masks: deleting an object gives back what lies beneath.

        Parameters
        ----------
        frame : int
        priority : {"surest", "lower id", "higher id"} or sequence of int
            Who gets a pixel that several cover. ``"surest"``: locked masks, which a person has looked at, then the
            higher predicted IoU, then the lower id. Or the ids in order, the first one on top; those that are not named
            lie beneath.
        objects : iterable of int, optional
            Only these.

        Returns
        -------
        ndarray, (y, x), int32
            0 is background.
        """
        frame = self.checked_frame(frame)
        wanted = None if objects is None else {self._checked_id(one) for one in objects}
        found = [(one, record) for one, record in self.records_on(frame).items() if wanted is None or one in wanted]
        labels = np.zeros(self.frame_size, np.int32)
        for object_id, record in reversed(_ordered(found, priority)):
            pixels = self.pixels(record.mask)
            labels[pixels.window][pixels.inside] = object_id
        return labels

    @property
    def history(self) -> list[StepInfo]:
        """What was done, oldest first; undone steps, which can be done again, come last."""
        return self._journal.steps()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed, since another process has the session open."""
        return self._journal.read_only

    def checked_frame(self, frame: int) -> int:
        """Refuse what is no frame of the stack.

        Raises
        ------
        InvalidTypeError, InvalidInputError
        """
        if isinstance(frame, bool) or not isinstance(frame, int | np.integer):
            raise InvalidTypeError(f"A frame is an integer; got {frame!r}.")
        if not 0 <= frame < self.frame_count:
            raise InvalidInputError(f"There is no frame {frame}: the stack has frames 0 to {self.frame_count - 1}.")
        return int(frame)

    # Changing

    @alone
    def undo(self) -> str:
        """Take back what was done last; returns what it was.

        Raises
        ------
        StateError
            There is nothing to undo, or it is still going on and no job that could be cancelled.
        """
        info, changes = self._journal.undo()
        self._announce(info.label, changes)
        return info.label

    @alone
    def redo(self) -> str:
        """Do again what was undone last; returns what it was.

        Raises
        ------
        StateError
            There is nothing to redo.
        """
        step = self._journal.next_redo()
        # objects that are deleted again take along what the model found for them while they were back
        gone = [] if step is None else self._journal.deleted(step.id, OBJECT)
        also = [Key(kind, one, b) for one in gone for kind in ON_FRAMES for _, b in self._journal.keys(kind, a=one)]
        info, changes = self._journal.redo(also)
        self._announce(info.label, changes)
        return info.label

    def _do(self, label: str, changes: Iterable[tuple[Key, Document | None]]) -> None:
        _, done = self._journal.do(label, changes)
        self._announce(label, done)

    def _announce(self, label: str, changes: Sequence[DocumentChange], *, found: bool = False) -> None:
        if not changes:
            return
        boxes: dict[int, Box] = {}
        for change in changes:
            if change.key.kind == MASK:
                touched = [MaskReference.read(one).box for one in (change.before, change.after) if one is not None]
                if not touched:
                    # one of very many, which nobody looked at
                    touched = [(0, 0, self.frame_size[1], self.frame_size[0])]
                boxes[change.key.b] = union_box(boxes.get(change.key.b, EMPTY), *touched)
        what = frozenset(change.key.kind for change in changes) - {RESERVED}
        event = Change(
            what=what,
            objects=frozenset(change.key.a for change in changes if change.key.kind != RESERVED),
            frames=frozenset(change.key.b for change in changes if change.key.kind in ON_FRAMES),
            boxes=boxes,
            step=label,
            found=found,
        )
        waiting: list[Change] | None = getattr(self._waiting, "events", None)
        if waiting is None:
            self.changed.emit(event)
        else:
            waiting.append(event)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads from changing anything meanwhile; events wait until they may again."""
        with self._telling_afterwards(), self._journal.lock:
            yield

    @contextmanager
    def _telling_afterwards(self) -> Iterator[None]:
        """Keep this thread's events until the end, when it holds no lock that a listener may wait for."""
        if getattr(self._waiting, "events", None) is not None:
            yield
            return
        events: list[Change] = []
        self._waiting.events = events
        try:
            yield
        finally:
            self._waiting.events = None
            for event in events:
                self.changed.emit(event)

    def _keep_pixels(self, masks: Sequence[MaskPixels]) -> list[MaskReference]:
        """Write pixels, and say where they are."""
        filled = [mask for mask in masks if mask.area]
        numbers = iter(self._journal.add_blobs(mask.encode() for mask in filled))
        return [MaskReference(mask.box, next(numbers)) if mask.area else MaskReference(EMPTY, None) for mask in masks]

    def _free_ids(self, count: int) -> list[int]:
        """Ids that no object ever had."""
        reserved = self._journal.get(Key(RESERVED, 0))
        first = 1 if reserved is None else int(reserved["next"])
        return list(range(first, first + count))

    def _reserve(self, ids: Iterable[int]) -> Changes:
        """What notes that ids are taken, for good."""
        return [(Key(RESERVED, 0), {"next": max(ids) + 1})]

    @staticmethod
    def _checked_id(object_id: int) -> int:
        if isinstance(object_id, bool) or not isinstance(object_id, int | np.integer):
            raise InvalidTypeError(f"An object's id is an integer; got {object_id!r}.")
        return int(object_id)


def _ordered(found: list[tuple[int, MaskRecord]], priority: Priority | Sequence[int]) -> list[tuple[int, MaskRecord]]:
    """Sort records by who is on top."""
    if isinstance(priority, str):
        if priority == "lower id":
            return sorted(found, key=lambda item: item[0])
        if priority == "higher id":
            return sorted(found, key=lambda item: -item[0])
        if priority == "surest":
            return sorted(found, key=lambda item: (not item[1].locked, -(item[1].predicted_iou or 0.0), item[0]))
        raise InvalidInputError(
            f"priority is one of {', '.join(get_args(Priority))}, or a sequence of object ids; got {priority!r}."
        )
    place = {object_id: position for position, object_id in enumerate(priority)}
    return sorted(found, key=lambda item: (place.get(item[0], len(place)), item[0]))

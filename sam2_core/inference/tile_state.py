"""What is known of a stack that is worked on in parts: its objects, their prompts, the parts that are open.

A part is called a place and goes by a number: a tile of a grid, or a crop that follows objects.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.inference.open_videos import OpenVideos
from sam2_core.inference.plane_object import PlaneObject
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_records import MaskRecords
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

_FORMAT = 1


class PlaneState(ABC):
    """A stack of planes being worked on, place by place.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    stack : FrameStack
    budget_bytes : int
        Size up to which places stay open.
    folder : Path, optional
        Where everything that is known is kept, and taken up from; a temporary folder by default.
    made_with : dict
        What else results depend on: records of another kind are refused.
    store : EmbeddingStore, optional
        Where the places' features are looked for and kept.

    Attributes
    ----------
    stack : FrameStack
        The whole frames.
    objects : dict
        The objects by id, in the order in which they came.
    records : MaskRecords
        What was found.
    videos : OpenVideos
        The places that are open.
    place_at_work : int or None
        The place in which objects are being tracked to a frame: its objects have to stay until that is done.

    Raises
    ------
    InvalidInputError
        The folder holds other things.
    StateError
        It holds records of another stack or model, or another process works with them.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        stack: FrameStack,
        budget_bytes: int,
        folder: Path | None = None,
        made_with: dict[str, Any] | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.stack = stack
        self.objects: dict[Hashable, PlaneObject] = {}
        self.place_at_work: int | None = None
        self.is_kept = folder is not None
        if folder is not None:
            _check_folder(folder)
            folder.mkdir(parents=True, exist_ok=True)
        self.records = MaskRecords(None if folder is None else folder / "found.sqlite")
        try:
            made_by = {"frames": len(stack), "frame_size": list(stack.frame_size), "kind": type(self).__name__}
            made_by |= {"input_size": list(predictor.input_size), "format": _FORMAT, **(made_with or {})}
            self._check_made_by(made_by, folder)
            places = self.records.notes("place")
            self.videos = OpenVideos(predictor, self.frames_of, budget_bytes, folder, places, store)
            self._numbers = max(self.records.notes("numbers").values(), default=0)
            for number, note in self.records.notes("object").items():
                self.objects[note["id"]] = PlaneObject.from_note(number, note)
            self._take_up_places()
        except BaseException:
            self.records.close()
            raise

    @abstractmethod
    def frames_of(self, place: int) -> FrameStack:
        """Return the frames that a place shows."""

    @abstractmethod
    def window_of(self, place: int, frame_index: int) -> Window:
        """Return the part of a frame that a place shows."""

    def _take_up_places(self) -> None:  # noqa: B027  not all trackers make places of their own
        """Read what is noted of places."""

    def _note_places(self) -> None:  # noqa: B027
        """Note what changed of places."""

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.stack)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width) of the planes."""
        return self.stack.frame_size

    @property
    def obj_ids(self) -> list[Hashable]:
        """The object ids, in the order in which they came."""
        return list(self.objects)

    def object(self, object_id: Hashable) -> PlaneObject:
        """Return an object.

        Raises
        ------
        StateError
            There is none of that id.
        """
        try:
            return self.objects[object_id]
        except KeyError:
            known = ", ".join(repr(known_id) for known_id in self.objects) or "none yet"
            raise StateError(f"There is no object {object_id!r} in this stack. Its objects: {known}.") from None

    def object_or_new(self, object_id: Hashable) -> PlaneObject:
        """Return an object, or a new one that is not among the objects yet.

        Raises
        ------
        InvalidTypeError
            The id is neither text nor an integer, and what is known is kept in a folder.
        """
        known = self.objects.get(object_id)
        if known is None:
            if self.is_kept and not isinstance(object_id, str | int):
                raise InvalidTypeError(
                    f"An object id that is kept on disk is an integer or text; got {object_id!r} of type "
                    f"{type(object_id).__name__}."
                )
            known = PlaneObject(object_id, self.new_number())
        return known

    def new_number(self) -> int:
        """Return a number that no object has had."""
        self._numbers += 1
        return self._numbers

    def forget(self, tracked: PlaneObject) -> None:
        """Remove an object with everything found for it."""
        self.records.forget(tracked.number)
        self.records.forget_note("object", tracked.number)
        self.forget_runs(tracked)
        del self.objects[tracked.object_id]

    # -- what counts ---------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Let everything done since the last time count, should the process be killed: all of it at once."""
        for tracked in self.objects.values() if self.is_kept else ():
            if tracked.is_changed:
                self.records.note("object", tracked.number, tracked.as_note())
                tracked.is_changed = False
        if self.is_kept:
            self.records.note("numbers", 0, self._numbers)
            self._note_places()
            for place, size in self.videos.sizes().items():
                self.records.note("place", place, size)
        self.records.commit()

    def begin_run(self, objects: Sequence[PlaneObject], description: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Begin a propagation, or find the one of the same description.

        Returns
        -------
        key : int
            For :meth:`finish_frame`.
        done : dict
            What :meth:`finish_frame` was told last; empty for a new one.
        """
        numbers = sorted(tracked.number for tracked in objects)
        document = json.dumps(description | {"numbers": numbers}, sort_keys=True)
        key = int.from_bytes(hashlib.sha256(document.encode()).digest()[:7], "little")
        known = self.records.notes("run").get(key)
        if known is None:
            known = {"numbers": numbers, "done": {}}
            self.records.note("run", key, known)
        done: dict[str, Any] = known["done"]
        return key, done

    def finish_frame(self, key: int, objects: Sequence[PlaneObject], done: dict[str, Any]) -> None:
        """Note how far a propagation over some objects is."""
        numbers = sorted(tracked.number for tracked in objects)
        self.records.note("run", key, {"numbers": numbers, "done": done})

    def forget_runs(self, tracked: PlaneObject) -> None:
        """Note that an object's prompts changed: propagations over it have to begin anew."""
        for key, run in self.records.notes("run").items():
            if tracked.number in run["numbers"]:
                self.records.forget_note("run", key)

    def close(self) -> None:
        """Let go of everything that is not kept in a folder; the stack stays open."""
        self.objects.clear()
        self.videos.close()
        self.records.close()

    def _check_made_by(self, made_by: dict[str, Any], folder: Path | None) -> None:
        found = self.records.notes("made by").get(0)
        if found is None:
            self.records.note("made by", 0, made_by)
            self.records.commit()
            return
        now = json.loads(json.dumps(made_by))
        if different := [name for name in {**found, **now} if found.get(name) != now.get(name)]:
            raise StateError(
                f"The records in {folder} belong to something else: they have "
                f"{ {name: found.get(name) for name in different} }, this stack and model "
                f"{ {name: now.get(name) for name in different} }. Name another folder."
            )


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"{folder} is a file; records need a folder.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "found.sqlite").exists():
        raise InvalidInputError(f"{folder} holds other things than records; name an empty or a new folder.")

"""One object of a plane that is worked on in parts, and what was said of it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask


@dataclass(frozen=True, eq=False)
class PlanePrompt:
    """One prompt in pixels of the plane: points with or without a box, or a mask.

    Attributes
    ----------
    points : ndarray of float32
        (P, 2) as (x, y).
    labels : ndarray of int
        (P,): 1 on the object, 0 beside it.
    box : tuple of float or None
        (x0, y0, x1, y1).
    mask : ObjectMask or None
        Instead of points and box.
    is_handed : bool
        Whether another place gave it rather than a person.
    replaces : bool
        Whether it replaces what was said on this frame before.
    """

    points: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    box: tuple[float, float, float, float] | None = None
    mask: ObjectMask | None = None
    is_handed: bool = False
    replaces: bool = True

    def as_note(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "points": self.points.tolist(),
            "labels": self.labels.tolist(),
            "box": None if self.box is None else [float(side) for side in self.box],
            "mask": None if self.mask is None else _mask_note(self.mask),
            "is_handed": self.is_handed,
            "replaces": self.replaces,
        }

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> PlanePrompt:
        """Undo :meth:`as_note`."""
        box = note["box"]
        return cls(
            np.array(note["points"], np.float32).reshape(-1, 2),
            np.array(note["labels"], np.int32),
            None if box is None else (box[0], box[1], box[2], box[3]),
            None if note["mask"] is None else _mask_from_note(note["mask"]),
            note["is_handed"],
            note["replaces"],
        )


@dataclass(eq=False)
class PlaneObject:
    """One object of a plane: its number in the records, its prompts by place and frame, and its locked frames."""

    object_id: Hashable
    number: int
    prompts: dict[int, dict[int, list[PlanePrompt]]] = field(default_factory=dict)
    #: Whether it changed since it was noted.
    is_changed: bool = True
    locked: set[int] = field(default_factory=set)

    def add(self, place: int, frame_index: int, prompt: PlanePrompt) -> None:
        """Note a prompt, so that it can be repeated should its place be closed meanwhile."""
        on_frame = self.prompts.setdefault(place, {}).setdefault(frame_index, [])
        if prompt.replaces:
            on_frame.clear()
        on_frame.append(prompt)
        self.is_changed = True

    def prompts_on(self, frame_index: int) -> list[PlanePrompt]:
        """List what was said on a frame, in order."""
        return [prompt for frames in self.prompts.values() for prompt in frames.get(frame_index, ())]

    def prompted_on(self, frame_index: int) -> list[int]:
        """List the places with a prompt on a frame."""
        return [place for place, frames in self.prompts.items() if frame_index in frames]

    def prompted_by_a_person(self) -> list[int]:
        """List the places in which a person, rather than a neighbour, said where the object is."""
        return [
            place
            for place, frames in self.prompts.items()
            if any(not prompt.is_handed for prompts in frames.values() for prompt in prompts)
        ]

    def prompted_frames(self) -> list[int]:
        """List the frames on which a person prompted, in order."""
        return sorted(
            {
                frame
                for frames in self.prompts.values()
                for frame, prompts in frames.items()
                if any(not prompt.is_handed for prompt in prompts)
            }
        )

    def forget(self, place: int, frame_index: int) -> None:
        """Drop what was said in a place on a frame."""
        frames = self.prompts.get(place, {})
        frames.pop(frame_index, None)
        if not frames:
            self.prompts.pop(place, None)
        self.is_changed = True

    def is_locked(self, frame_index: int) -> bool:
        """Whether its mask on a frame is never overwritten."""
        return frame_index in self.locked

    def lock(self, frame_index: int) -> None:
        """Keep its mask on a frame."""
        self.locked.add(frame_index)
        self.is_changed = True

    def unlock(self, frame_index: int) -> None:
        """Let its mask on a frame be overwritten."""
        self.locked.discard(frame_index)
        self.is_changed = True

    def as_note(self) -> dict[str, Any]:
        """All of it but its number, as JSON can hold it."""
        return {
            "id": self.object_id,
            "locked": sorted(self.locked),
            "prompts": [
                [place, frame, [prompt.as_note() for prompt in prompts]]
                for place, frames in self.prompts.items()
                for frame, prompts in frames.items()
            ],
        }

    @classmethod
    def from_note(cls, number: int, note: Mapping[str, Any]) -> PlaneObject:
        """Undo :meth:`as_note`."""
        prompts: dict[int, dict[int, list[PlanePrompt]]] = {}
        for place, frame, said in note["prompts"]:
            prompts.setdefault(place, {})[frame] = [PlanePrompt.from_note(each) for each in said]
        # records of earlier versions know of no locks
        return cls(note["id"], number, prompts, is_changed=False, locked=set(note.get("locked", ())))


def _mask_note(mask: ObjectMask) -> dict[str, Any]:
    window = mask.window
    bits = zlib.compress(np.packbits(mask.mask).tobytes(), 1)
    return {
        "window": [window.top, window.left, window.bottom, window.right],
        "bits": base64.b64encode(bits).decode("ascii"),
    }


def _mask_from_note(note: Mapping[str, Any]) -> ObjectMask:
    window = Window(*note["window"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(note["bits"])), np.uint8)
    return ObjectMask(None, window, np.unpackbits(bits, count=window.area).reshape(window.size).astype(np.bool_))

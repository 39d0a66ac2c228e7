"""A labelled stack as a video to train on, and which of its frames are held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes import FrameStack, LabelStack

#: One labelled frame of so many is held back.
HELD_BACK = 5


@dataclass(frozen=True)
class LabelledFrames:
    """Some labelled frames of a stack, as a :class:`~sam2_core.hooks.TrainingVideo`.

    Attributes
    ----------
    stack : FrameStack
    labels : LabelStack
    shown : frozenset of int
        Frames whose labels are shown; the others count as frames that nobody labelled.
    """

    stack: FrameStack
    labels: LabelStack
    shown: frozenset[int]

    @property
    def name(self) -> str:
        """The stack's."""
        return self.stack.name

    def __len__(self) -> int:
        return len(self.stack)

    def image(self, frame: int) -> NDArray[np.uint8]:
        """One frame (y, x, rgb)."""
        return self.stack.read(frame)

    def masks(self, frame: int) -> Mapping[int, NDArray[np.bool_]] | None:
        """Every object of a frame (y, x); None where its labels are not shown."""
        if frame not in self.shown:
            return None
        pixels = self.labels.read(frame)
        return {int(number): pixels == number for number in np.unique(pixels) if number}


@dataclass(frozen=True)
class Split:
    """Which frames are trained on and which are held back, in order."""

    training: tuple[int, ...]
    validation: tuple[int, ...]


def split_frames(labelled: Sequence[int], validation: Iterable[int] | None = None) -> Split:
    """Hold some labelled frames back.

    Neighbours look alike, so those held back lie together: in the middle, one of five, at least one.

    Parameters
    ----------
    labelled : sequence of int
        Labelled frames that show an object, in order.
    validation : iterable of int, optional
        Frames to hold back, in place of that choice; none of them to train without validation.

    Raises
    ------
    InvalidInputError
        There is one labelled frame only, a frame to hold back is not labelled, or none would be left to train on.
    """
    if validation is None:
        if len(labelled) < 2:
            raise InvalidInputError(
                f"One labelled frame only ({labelled[0]}): no frame is left to validate on. Label another one, cut the "
                "picture into tiles, or train without validation (validation_frames=[], on the command line "
                "--no-validation)."
            )
        count = max(1, len(labelled) // HELD_BACK)
        first = (len(labelled) - count) // 2
        held = tuple(labelled[first : first + count])
    else:
        held = tuple(sorted(dict.fromkeys(int(frame) for frame in validation)))
        strange = [frame for frame in held if frame not in labelled]
        if strange:
            raise InvalidInputError(
                f"Frame {strange[0]} cannot be validated on: it shows no label. Frames that do: "
                f"{', '.join(map(str, labelled[:20]))}{', …' if len(labelled) > 20 else ''}."
            )
    training = tuple(frame for frame in labelled if frame not in held)
    if not training:
        raise InvalidInputError(
            f"All labelled frames ({', '.join(map(str, held))}) are held back; none is left to train on."
        )
    return Split(training, held)

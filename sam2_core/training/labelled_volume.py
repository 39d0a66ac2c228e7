"""Labelled volumes as training videos: single images, z-stacks and time-lapses, labelled wholly or here and there."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.training.raw_videos import VOSFrame, VOSRawDataset, VOSVideo
from sam2_core.training.segment_loaders import Segments
from sam2_core.volumes import FrameStack, LabelStack, open_frames, open_labels


@dataclass(frozen=True)
class Window:
    """Part of every frame: rows and columns in pixels."""

    rows: slice
    columns: slice


@dataclass
class StackFrame(VOSFrame):
    """A frame of a stack, of which only a window is read."""

    stack: FrameStack | None = None
    window: Window | None = None

    def picture(self) -> Image.Image:
        """Read the window as the model sees it."""
        assert self.stack is not None
        if self.window is None:
            return Image.fromarray(self.stack.read(self.frame_idx))
        return Image.fromarray(self.stack.read_window(self.frame_idx, self.window.rows, self.window.columns))


@dataclass
class StackSegments:
    """Masks of a label stack; the last frame is kept.

    Attributes
    ----------
    labels : LabelStack
    labelled : frozenset of int
    window : Window, optional
    """

    labels: LabelStack
    labelled: frozenset[int]
    window: Window | None
    _last: tuple[int, Segments] | None = None

    def load(self, frame_id: int) -> Segments:
        """Return the masks of a frame by label; none where nobody has labelled it."""
        if self._last is not None and self._last[0] == frame_id:
            return self._last[1]
        segments: Segments = {}
        if frame_id in self.labelled:
            pixels = self.labels.read(frame_id)
            if self.window is not None:
                pixels = pixels[self.window.rows, self.window.columns]
            present = [int(identity) for identity in np.unique(pixels) if identity]
            segments = {identity: torch.from_numpy(pixels == identity) for identity in present}
        self._last = (frame_id, segments)
        return segments


class VolumeRawDataset(VOSRawDataset):
    """A stack and its labels; each labelled frame that shows an object begins a video.

    Parameters
    ----------
    images : path, array or FrameStack
        See :func:`~sam2_core.volumes.open_frames`. What is opened by path is opened once in each process.
    labels : path, array or LabelStack
        Same frames and size; 0 is background. Objects keep their label through the stack.
    num_frames : int
        Frames of a video: 1 for single images; else as many consecutive ones from the labelled frame on.
    crop : int or (int, int), optional
        Height and width of a window round a random object, which alone is read; whole frames by default.
    labelled_frames : iterable of int, optional
        Frames that are labelled. By default those that the labels say were written, or else those that show an object.
    frames : (int, int), optional
        First frame and the one after the last to use, for a split into training and validation.
    axis, at, channels, contrast
        Given on to :func:`~sam2_core.volumes.open_frames`.

    Raises
    ------
    InvalidInputError
        Labels and images differ in shape, no labelled frame shows an object, or labels are an image.
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        num_frames: int = 1,
        crop: int | Sequence[int] | None = None,
        labelled_frames: Iterable[int] | None = None,
        frames: Sequence[int] | None = None,
        axis: str | None = None,
        at: Mapping[str, int] | None = None,
        channels: Sequence[int | str] | None = None,
        contrast: Any = None,
    ) -> None:
        if num_frames < 1:
            raise InvalidInputError(f"num_frames is at least 1; got {num_frames}.")
        self._images, self._labels = images, labels
        self._options: dict[str, Any] = {"axis": axis, "at": at, "channels": channels, "contrast": contrast}
        self._opened: tuple[FrameStack, LabelStack] | None = None
        self.num_frames = num_frames
        self.crop = (crop, crop) if isinstance(crop, int) else None if crop is None else (int(crop[0]), int(crop[1]))
        stack, label_stack = self._open()
        # the same limits in every process
        self._options["contrast"] = stack.contrast_limits if contrast is None else contrast
        require_same_shape(stack, label_stack)
        first, end = (0, len(stack)) if frames is None else (int(frames[0]), int(frames[1]))
        if not 0 <= first < end <= len(stack):
            raise InvalidInputError(
                f"frames has to be a part of 0 to {len(stack)}, with at least one frame; got {first} to {end}."
            )
        self.range = (first, end)
        given = None if labelled_frames is None else [int(index) for index in labelled_frames]
        self.labelled, self.starts = frames_that_show(label_stack, range(first, end), given)
        if not self.starts:
            raise InvalidInputError(
                f"No frame of {label_stack.name} from {first} to {end - 1} shows a labelled object: nothing to train "
                "on."
            )
        self.starts = tuple(start for start in self.starts if start + num_frames <= end)
        if not self.starts:
            raise InvalidInputError(
                f"{stack.name} has no {num_frames} frames in a row from a labelled one on, between frames {first} and "
                f"{end - 1}. Set num_frames lower; 1 trains on single images."
            )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def _open(self) -> tuple[FrameStack, LabelStack]:
        if self._opened is None:
            labels = self._labels if isinstance(self._labels, LabelStack) else open_labels(self._labels)
            self._opened = (open_frames(self._images, **self._options), labels)
        return self._opened

    def get_video(self, idx: int) -> tuple[VOSVideo, StackSegments]:
        """Return the frames from a labelled one on, and their masks."""
        stack, labels = self._open()
        start = self.starts[idx]
        window = self._window(labels.read(start)) if self.crop is not None else None
        frames: list[VOSFrame] = [
            StackFrame(index, stack.name, None, stack, window) for index in range(start, start + self.num_frames)
        ]
        name = f"{stack.name} from frame {start}"
        return VOSVideo(name, idx, frames, self.labelled), StackSegments(labels, self.labelled, window)

    def _window(self, pixels: NDArray[Any]) -> Window:
        """Choose a window that shows a random object."""
        assert self.crop is not None
        rows, columns = np.nonzero(pixels)
        # an object first, then one of its pixels, so that large objects are not favoured
        identity = random.choice([int(each) for each in np.unique(pixels) if each])
        inside = np.flatnonzero(pixels[rows, columns] == identity)
        place = int(inside[random.randrange(len(inside))])
        parts = []
        for centre, side, size in zip((rows[place], columns[place]), self.crop, pixels.shape, strict=True):
            side = min(side, size)
            low = max(0, int(centre) - side + 1)
            high = min(int(centre), size - side)
            begin = random.randint(low, high)
            parts.append(slice(begin, begin + side))
        return Window(*parts)

    def __len__(self) -> int:
        return len(self.starts)


def require_same_shape(stack: FrameStack, labels: LabelStack) -> None:
    """Refuse labels of another number or size of frames.

    Raises
    ------
    InvalidInputError
    """
    if len(stack) != len(labels) or tuple(stack.frame_size) != tuple(labels.frame_size):
        raise InvalidInputError(
            f"{labels.name} has {len(labels)} frames of {tuple(labels.frame_size)} (y, x), {stack.name} {len(stack)} "
            f"of {tuple(stack.frame_size)}: labels and images have to be of one shape."
        )


def frames_that_show(
    labels: LabelStack, among: range, given: list[int] | None
) -> tuple[frozenset[int], tuple[int, ...]]:
    """Frames that are labelled, and those of them that show an object; reads each candidate once.

    Parameters
    ----------
    labels : LabelStack
    among : range
        Frames to look at.
    given : list of int or None
        Frames that are labelled, where somebody said so.

    Returns
    -------
    labelled : frozenset of int
    showing : tuple of int
        In order.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        A given frame is not among these, or the labels are no whole numbers.
    """
    wrong = [index for index in given or () if index not in among]
    if wrong:
        raise InvalidInputError(f"labelled_frames names frame {wrong[0]}, which is not among {among}.")
    some_written = 0 < len(labels.written) < len(labels)
    candidates = given if given is not None else sorted(labels.written & frozenset(among))
    showing = []
    for index in candidates:
        pixels = labels.read(index)
        if pixels.dtype.kind not in "ui":
            raise InvalidTypeError(f"{labels.name} holds {pixels.dtype}; labels are whole numbers.")
        if pixels.any():
            showing.append(index)
    said = given is not None or some_written
    return frozenset(candidates if said else showing), tuple(showing)

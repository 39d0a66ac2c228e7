"""What is known of a stack that is worked on in parts: its objects, their prompts, the parts that are open.

A part is called a place and goes by a number: a tile of a grid, or a crop that follows objects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import StateError
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_records import MaskRecords
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from sam2_core.volumes.frame_stack import FrameStack

#: Recent frames whose memories an object keeps, about: what tracking reads and a little more.
_MEMORIES_AN_OBJECT = 8
#: Frames, and frames' features, that an open place keeps: the one at hand.
_CACHED_FRAMES, _CACHED_FEATURES = 1, 1


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


@dataclass(eq=False)
class PlaneObject:
    """One object of a plane: its number in the records, and its prompts by place and frame."""

    object_id: Hashable
    number: int
    prompts: dict[int, dict[int, list[PlanePrompt]]] = field(default_factory=dict)

    def add(self, place: int, frame_index: int, prompt: PlanePrompt) -> None:
        """Note a prompt, so that it can be repeated should its place be closed meanwhile."""
        on_frame = self.prompts.setdefault(place, {}).setdefault(frame_index, [])
        if prompt.replaces:
            on_frame.clear()
        on_frame.append(prompt)

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


class OpenVideos:
    """The parts of a plane that are being worked in, each a video of its own; those used longest ago close.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Opens them.
    frames_of : callable
        Gives the frames that a place shows.
    budget_bytes : int
        Size up to which videos stay open, estimated from what features and objects' memories take. The one in use
        stays, whatever it takes.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        frames_of: Callable[[int], FrameStack],
        budget_bytes: int,
    ) -> None:
        self.budget_bytes = budget_bytes
        self._predictor = predictor
        self._frames_of = frames_of
        self._videos: OrderedDict[int, VideoState] = OrderedDict()
        self._records: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._videos)

    def __contains__(self, place: int) -> bool:
        return place in self._videos

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._videos))

    @property
    def resident_bytes(self) -> int:
        """What the open videos take, about."""
        return sum(self._bytes_of(place) for place in self._videos)

    def open(self, place: int) -> VideoState:
        """Return a place's video, opening it anew, without objects, if it was closed or never open."""
        video = self._videos.get(place)
        if video is None:
            video = self._predictor.init_state(
                self._frames_of(place), cached_frames=_CACHED_FRAMES, cached_features=_CACHED_FEATURES
            )
            self._videos[place] = video
            self._records[place] = 0
        self._videos.move_to_end(place)
        while len(self._videos) > 1 and self.resident_bytes > self.budget_bytes:
            self.close_video(next(iter(self._videos)))
        return video

    def count_records(self, place: int, records: int) -> None:
        """Say that a place's video holds so many more results."""
        self._records[place] += records

    def close_video(self, place: int) -> None:
        """Let go of a place's features and memories."""
        video = self._videos.pop(place, None)
        if video is not None:
            self._records.pop(place)
            video.close()

    def close(self) -> None:
        """Let go of all."""
        for place in list(self._videos):
            self.close_video(place)

    def _bytes_of(self, place: int) -> int:
        height, width = self._predictor.input_size
        pixels, itemsize = height * width, next(self._predictor.parameters()).element_size()
        # 256 channels at stride 16, 64 at 8 and 32 at 4, with a position encoding for the first; frames are RGB float32
        features = pixels * itemsize * (1 + 1 + 2 + 1)
        held = min(self._records[place], _MEMORIES_AN_OBJECT * max(1, len(self._videos[place].obj_ids)))
        memories = held * pixels * itemsize // 4
        logits = self._records[place] * pixels // 4
        return _CACHED_FRAMES * pixels * 12 + _CACHED_FEATURES * features + memories + logits


class PlaneState:
    """A stack of planes being worked on, place by place.

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
    """

    def __init__(self, predictor: SAM2VideoPredictor, stack: FrameStack, budget_bytes: int) -> None:
        self.stack = stack
        self.objects: dict[Hashable, PlaneObject] = {}
        self.records = MaskRecords()
        self.videos = OpenVideos(predictor, self.frames_of, budget_bytes)
        self._objects_ever = 0

    def frames_of(self, place: int) -> FrameStack:
        """Return the frames that a place shows."""
        raise NotImplementedError

    def window_of(self, place: int, frame_index: int) -> Window:
        """Return the part of a frame that a place shows."""
        raise NotImplementedError

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
        """Return an object, or a new one that is not among the objects yet."""
        known = self.objects.get(object_id)
        if known is None:
            self._objects_ever += 1
            known = PlaneObject(object_id, self._objects_ever)
        return known

    def close(self) -> None:
        """Let go of everything; the stack stays open."""
        self.objects.clear()
        self.videos.close()
        self.records.close()

"""What a tiled predictor knows of one stack: its objects, their prompts in each tile, and the tiles that are open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import StateError
from sam2_core.inference.tile_frames import WindowFrames
from sam2_core.inference.tile_grid import TileGrid
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_records import MaskRecords
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from sam2_core.volumes.frame_stack import FrameStack

#: Recent frames whose memories an object keeps, about: what tracking reads and a little more.
_MEMORIES_AN_OBJECT = 8
#: Frames, and frames' features, that an open tile keeps. Propagation needs one; the other spares a click beside it.
_CACHED_FRAMES, _CACHED_FEATURES = 1, 2


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
        Whether a neighbouring tile gave it rather than a person.
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
    """One object of a plane: its number in the records, and its prompts by tile and frame."""

    object_id: Hashable
    number: int
    prompts: dict[int, dict[int, list[PlanePrompt]]] = field(default_factory=dict)

    def add(self, tile: int, frame_index: int, prompt: PlanePrompt) -> None:
        """Note a prompt, so that it can be repeated should its tile be closed meanwhile."""
        on_frame = self.prompts.setdefault(tile, {}).setdefault(frame_index, [])
        if prompt.replaces:
            on_frame.clear()
        on_frame.append(prompt)

    def tiles_prompted_on(self, frame_index: int) -> list[int]:
        """List the tiles with a prompt on a frame."""
        return [tile for tile, frames in self.prompts.items() if frame_index in frames]

    def tiles_prompted_by_a_person(self) -> list[int]:
        """List the tiles in which a person, rather than a neighbour, said where the object is."""
        return [
            tile
            for tile, frames in self.prompts.items()
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

    def forget_handed(self, frame_index: int) -> list[int]:
        """Drop what neighbours handed over on a frame and return the tiles it was handed to."""
        tiles = []
        for tile, frames in list(self.prompts.items()):
            if all(prompt.is_handed for prompt in frames.get(frame_index, ())) and frames.pop(frame_index, None):
                tiles.append(tile)
            if not frames:
                del self.prompts[tile]
        return tiles


class OpenTiles:
    """The tiles that are being worked in, each a video of its own; those used longest ago close beyond a budget.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Opens them.
    stack : FrameStack
        The whole frames.
    grid : TileGrid
        Where the tiles lie.
    budget_bytes : int
        Size up to which tiles stay open, estimated from what a tile's features and its objects' memories take. The one
        in use stays, whatever it takes.
    """

    def __init__(self, predictor: SAM2VideoPredictor, stack: FrameStack, grid: TileGrid, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._predictor = predictor
        self._stack = stack
        self._grid = grid
        self._videos: OrderedDict[int, VideoState] = OrderedDict()
        self._records: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._videos)

    def __contains__(self, tile: int) -> bool:
        return tile in self._videos

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._videos))

    @property
    def resident_bytes(self) -> int:
        """What the open tiles take, about."""
        return sum(self._bytes_of(tile) for tile in self._videos)

    def open(self, tile: int) -> VideoState:
        """Return a tile's video, opening it anew, without objects, if it was closed or never open."""
        video = self._videos.get(tile)
        if video is None:
            window = self._grid[tile].window
            whole = window.size == self._stack.frame_size
            video = self._predictor.init_state(
                self._stack if whole else WindowFrames(self._stack, window),
                cached_frames=_CACHED_FRAMES,
                cached_features=_CACHED_FEATURES,
            )
            self._videos[tile] = video
            self._records[tile] = 0
        self._videos.move_to_end(tile)
        while len(self._videos) > 1 and self.resident_bytes > self.budget_bytes:
            self.close_tile(next(iter(self._videos)))
        return video

    def count_records(self, tile: int, records: int) -> None:
        """Say that a tile's video holds so many more results."""
        self._records[tile] += records

    def close_tile(self, tile: int) -> None:
        """Let go of a tile's features and memories."""
        video = self._videos.pop(tile, None)
        if video is not None:
            self._records.pop(tile, None)
            if isinstance(video.images.stack, WindowFrames):
                video.close()

    def close(self) -> None:
        """Let go of all tiles."""
        for tile in list(self._videos):
            self.close_tile(tile)

    def _bytes_of(self, tile: int) -> int:
        height, width = self._predictor.input_size
        pixels, itemsize = height * width, next(self._predictor.parameters()).element_size()
        # 256 channels at stride 16, 64 at 8 and 32 at 4, with a position encoding for the first; frames are RGB float32
        features = pixels * itemsize * (1 + 1 + 1 + 2)
        held = min(self._records[tile], _MEMORIES_AN_OBJECT * max(1, len(self._videos[tile].obj_ids)))
        memories = held * pixels * itemsize // 4
        logits = self._records[tile] * pixels // 4
        return _CACHED_FRAMES * pixels * 12 + _CACHED_FEATURES * features + memories + logits


class TiledState:
    """A stack being worked on by a tiled predictor, as :meth:`TiledTracker.init_state` hands it out.

    Attributes
    ----------
    stack : FrameStack
        The whole frames.
    grid : TileGrid
        The tiles.
    objects : dict
        The objects by id, in the order in which they came.
    records : MaskRecords
        What was found.
    tiles : OpenTiles
        The tiles that are open.
    """

    def __init__(self, predictor: SAM2VideoPredictor, stack: FrameStack, grid: TileGrid, budget_bytes: int) -> None:
        self.stack = stack
        self.grid = grid
        self.objects: dict[Hashable, PlaneObject] = {}
        self.records = MaskRecords()
        self.tiles = OpenTiles(predictor, stack, grid, budget_bytes)
        self._objects_ever = 0

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.stack)

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
        self.tiles.close()
        self.records.close()

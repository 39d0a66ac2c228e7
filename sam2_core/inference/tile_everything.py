"""Segment everything on a plane of any size, tile by tile, each object once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sam2_core.errors import InvalidInputError
from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator
from sam2_core.inference.run_length import mask_in_box, rle_to_mask
from sam2_core.inference.tile_grid import Tile, Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_tracker import TiledState, TiledTracker
from sam2_core.inference.video_prompts import checked_frame_index
from sam2_core.volumes.frames import FrameSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam2_core.model.results import ImageFeatures
    from sam2_core.volumes.embedding_store import EmbeddingStore

DEFAULT_DUPLICATE_IOU = 0.5


@dataclass(frozen=True, eq=False)
class TileObjects:
    """What one tile adds to the objects of a plane.

    Attributes
    ----------
    tile : Tile
        The tile.
    objects : list of ObjectMask
        Objects that no earlier tile had, whole even where they reach into other tiles, in pixels of the plane. Their
        ids count on from tile to tile, from 1.
    """

    tile: Tile
    objects: list[ObjectMask]


@dataclass(frozen=True, eq=False)
class TileCandidate:
    """A mask of a tile, or of a whole plane, that may be an object.

    Attributes
    ----------
    found : ObjectMask
        In pixels of the plane, without an id; cut off where the tile ends.
    stability_score : float
        0 to 1.
    crop : Window
        The part of the plane that it was found in: the tile, or a crop of it.
    """

    found: ObjectMask
    stability_score: float
    crop: Window


@dataclass(frozen=True, eq=False)
class _Kept:
    """An object that a later tile may find again, and the window in which it is known."""

    found: ObjectMask
    seen_in: Window


class TiledMaskGenerator:
    """Segment everything on planes larger than the model sees.

    Each tile is searched by itself. An object belongs to the tile in whose core its centre lies; one that another
    tile found before, by their overlap where both tiles see, is left out; one that its tile cuts off is followed into
    the neighbours with its mask as prompt.

    Parameters
    ----------
    tracker : TiledTracker
        Its predictor and tiles are used.
    duplicate_iou : float
        Masks of two tiles that overlap by more, where both tiles see, are one object.
    **options
        Options of :class:`SAM2AutomaticMaskGenerator`, for each tile.

    Raises
    ------
    InvalidInputError
        An option that the generator does not accept, or a ``duplicate_iou`` outside 0 to 1.
    """

    def __init__(self, tracker: TiledTracker, *, duplicate_iou: float = DEFAULT_DUPLICATE_IOU, **options: Any) -> None:
        if not 0 <= duplicate_iou <= 1:
            raise InvalidInputError(f"duplicate_iou is a number from 0 to 1; got {duplicate_iou}.")
        if "output_mode" in options:
            raise InvalidInputError("output_mode has no meaning here: masks come with their bounding box.")
        self.tracker = tracker
        self.duplicate_iou = duplicate_iou
        self._generator = SAM2AutomaticMaskGenerator(tracker.predictor, output_mode="uncompressed_rle", **options)

    def generate(
        self,
        source: FrameSource,
        frame_index: int = 0,
        *,
        within: Window | None = None,
        embedding_store: EmbeddingStore | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[TileObjects]:
        """Segment everything on one frame.

        Parameters
        ----------
        source : path, bytes, array, list or FrameStack
            See :func:`sam2_core.volumes.frames.open_frames`.
        frame_index : int
            Index of the frame, from 0.
        within : Window, optional
            Only objects whose centre lies in this part of the plane; only its tiles are read.
        embedding_store : EmbeddingStore, optional
            Where the tiles' features are looked for and kept, as :meth:`TiledTracker.init_state` does.
        progress : callable, optional
            Called with the number of tiles done and of all tiles, from this thread.
        cancelled : callable, optional
            Asked between batches of points; when it returns true, generation stops.

        Returns
        -------
        iterator of TileObjects
            For each tile, row by row, computed when it is asked for.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            There is no such frame, or ``within`` shows nothing of it. At the call, before the first tile.
        GenerationCancelledError
            ``cancelled`` returned true.
        """
        state = self.tracker.init_state(source, embedding_store=embedding_store)
        frame_index = checked_frame_index(frame_index, state.num_frames)
        within = within or Window(0, 0, *state.frame_size)
        tiles = state.grid.cores_touching(within)
        if not tiles:
            raise InvalidInputError(
                f"Rows {within.top} to {within.bottom} and columns {within.left} to {within.right} show nothing of the "
                f"plane of {state.frame_size[0]} x {state.frame_size[1]} (height x width)."
            )
        return self._generated(state, frame_index, tiles, within, progress, cancelled)

    def candidates(
        self,
        source: FrameSource,
        frame_index: int = 0,
        *,
        embedding_store: EmbeddingStore | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[TileCandidate]:
        """Find every mask that passes the thresholds, duplicates too, tile by tile.

        They are to be chosen among with :func:`~sam2_core.inference.mask_choice.chosen_masks`, the tiles as crops. None
        is followed into the neighbours of its tile.

        Parameters
        ----------
        source, frame_index, embedding_store, progress, cancelled
            As for :meth:`generate`.

        Yields
        ------
        TileCandidate
            Those whose centre lies in their tile's core, tile by tile.

        Raises
        ------
        InvalidTypeError, InvalidInputError, GenerationCancelledError
            As for :meth:`generate`.
        """
        state = self.tracker.init_state(source, embedding_store=embedding_store)
        try:
            frame_index = checked_frame_index(frame_index, state.num_frames)
            tiles = state.grid.cores_touching(Window(0, 0, *state.frame_size))
            for done, tile in enumerate(tiles, start=1):
                yield from self._candidates_in_tile(state, frame_index, tile, cancelled)
                if progress is not None:
                    progress(done, len(tiles))
        finally:
            state.close()

    def _generated(
        self,
        state: TiledState,
        frame_index: int,
        tiles: list[Tile],
        within: Window,
        progress: Callable[[int, int], object] | None,
        cancelled: Callable[[], bool] | None,
    ) -> Iterator[TileObjects]:
        kept: list[_Kept] = []
        count = 0
        try:
            for done, tile in enumerate(tiles, start=1):
                # what ends above this row of tiles is seen by none of those to come
                kept = [earlier for earlier in kept if earlier.found.window.bottom > tile.window.top]
                added = []
                for found in self._in_tile(state, frame_index, tile, within, cancelled):
                    if self._is_known(found, tile.window, kept):
                        continue
                    whole = self.tracker.completed(state, frame_index, tile, found)
                    seen_in = tile.window | whole.window
                    if whole is not found and self._is_known(whole, seen_in, kept):
                        continue
                    count += 1
                    added.append(replace(whole, object_id=count))
                    kept.append(_Kept(added[-1], seen_in))
                if progress is not None:
                    progress(done, len(tiles))
                yield TileObjects(tile, added)
        finally:
            state.close()

    def _in_tile(
        self,
        state: TiledState,
        frame_index: int,
        tile: Tile,
        within: Window,
        cancelled: Callable[[], bool] | None,
    ) -> Iterator[ObjectMask]:
        """Objects that a tile answers for, best first."""
        pixels, features = _seen(state, frame_index, tile)
        for record in self._generator.generate(pixels, features=features, cancelled=cancelled):
            found = ObjectMask.from_pixels(
                None,
                rle_to_mask(record["segmentation"]),
                (tile.window.top, tile.window.left),
                record["predicted_iou"],
                record["object_score"],
            )
            if found.window.area and found.centroid in _core(state, tile) and found.centroid in within:
                yield found

    def _candidates_in_tile(
        self, state: TiledState, frame_index: int, tile: Tile, cancelled: Callable[[], bool] | None
    ) -> Iterator[TileCandidate]:
        pixels, features = _seen(state, frame_index, tile)
        table = self._generator.candidates(pixels, features=features, cancelled=cancelled)
        for one in candidates_of(table, tile.window.top, tile.window.left):
            if one.found.window.area and one.found.centroid in _core(state, tile):
                yield one

    def _is_known(self, found: ObjectMask, seen_in: Window, kept: list[_Kept]) -> bool:
        """Whether an earlier tile found the same object, by their overlap where both see."""
        for earlier in kept:
            if not (earlier.found.window & found.window).area:
                continue
            both = seen_in & earlier.seen_in
            if found.cut_to(both).iou(earlier.found.cut_to(both)) > self.duplicate_iou:
                return True
        return False


def candidates_of(table: MaskData, top: int = 0, left: int = 0) -> Iterator[TileCandidate]:
    """Cut out the masks that :meth:`SAM2AutomaticMaskGenerator.candidates` found in a part of a plane, or in all of it.

    Parameters
    ----------
    table : MaskData
    top, left : int
        Where the part begins.
    """
    names = ("boxes", "iou_preds", "object_scores", "stability_score", "crop_boxes")
    columns = (table[name].tolist() for name in names)
    for rle, box, iou, score, stability, crop in zip(table["rles"], *columns, strict=True):
        x0, y0 = int(box[0]), int(box[1])
        found = ObjectMask.from_pixels(None, mask_in_box(rle, box), (top + y0, left + x0), iou, score)
        x_first, y_first, x_end, y_end = (int(side) for side in crop)
        yield TileCandidate(found, stability, Window(top + y_first, left + x_first, top + y_end, left + x_end))


def _seen(state: TiledState, frame_index: int, tile: Tile) -> tuple[NDArray[Any], ImageFeatures]:
    """A tile's pixels, and what the tracker sees there.

    An object that its tile cuts off is followed into others by those features: it is found by them too, then.
    """
    pixels = state.stack.read_window(frame_index, tile.window.rows, tile.window.columns)
    return pixels, state.videos.open(tile.index).features.get(frame_index)


def _core(state: TiledState, tile: Tile) -> Window:
    """Where the centres of objects lie that a tile answers for.

    Two tiles draw an object a little differently, so that each may find its centre in the other's core.
    """
    return tile.core.grown(state.grid.halo // 4)

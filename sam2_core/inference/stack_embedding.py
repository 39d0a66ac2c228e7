"""Fill the embedding store with a stack's features ahead of any use, and go on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_features import FrameFeatures, encode_together, frames_at_once
from sam2_core.inference.stored_share import stored_count
from sam2_core.inference.tile_features import tile_features
from sam2_core.inference.tile_grid import Tile, TileGrid
from sam2_core.inference.video_frames import DEFAULT_FRAMES_AHEAD, open_prepared_frames
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import FrameSource, open_frames

if TYPE_CHECKING:
    from sam2_core.model.frame_segmenter import FrameSegmenter
    from sam2_core.volumes.embedding_store import EmbeddingStore, StoreUsage


@dataclass(frozen=True)
class EmbeddedFrame:
    """Progress of an embedding: one picture more, a frame or a tile of one, is in the store.

    Attributes
    ----------
    frame_index : int
        Which frame.
    was_stored : bool
        Whether it was there before.
    done, total : int
        How many of how many pictures are there now.
    tile : int or None
        Which tile of the frame, where frames are encoded in tiles.
    """

    frame_index: int
    was_stored: bool
    done: int
    total: int
    tile: int | None = None


class StackEmbedding:
    """The features of a stack's frames, on their way into the store: iterate over it to have them encoded.

    What it will take is known before the first frame is encoded. Stop iterating at any frame to cancel: what is stored
    stays, and the next embedding of the same frames goes on from there.

    Attributes
    ----------
    frames : sequence of int
        The frames, in the order in which they are encoded.
    needed_bytes : int
        What all of them take in the store.
    usage : StoreUsage
        What was in the store at the beginning, its quota, and what the disk had left.
    tiles : list of Tile or None
        The tiles of each frame that are encoded, one after the other, in place of the whole.
    """

    def __init__(
        self,
        model: FrameSegmenter,
        source: FrameStack,
        store: EmbeddingStore,
        frames: Sequence[int],
        batch: int,
        tiles: TileGrid | None,
    ) -> None:
        self.frames = frames
        self.tiles: list[Tile] | None = None if tiles is None or len(tiles) == 1 else list(tiles)
        self.needed_bytes = store.needed(len(self), model)
        self.usage: StoreUsage = store.usage()
        self._model = model
        self._source = source
        self._store = store
        self._batch = batch

    def __len__(self) -> int:
        """Return the number of pictures: of frames, or of all their tiles."""
        return len(self.frames) * len(self.tiles or (None,))

    def stored_count(self) -> int:
        """Say about how many of the pictures are there already, by a quick look (see :mod:`.stored_share`)."""
        with self._opened(frames_ahead=0) as picture:
            return stored_count(len(self), picture)

    def __iter__(self) -> Iterator[EmbeddedFrame]:
        in_order = all(after - before == 1 for before, after in zip(self.frames, self.frames[1:], strict=False))
        # of frames here and there, the next in order are none that are wanted
        with self._opened(frames_ahead=DEFAULT_FRAMES_AHEAD if in_order else 0) as picture:
            for start in range(0, len(self), self._batch):
                numbers = range(start, min(start + self._batch, len(self)))
                pictures = [picture(number) for number in numbers]
                were_stored = [features.is_stored(index) for features, index in pictures]
                missing = [one for one, is_stored in zip(pictures, were_stored, strict=True) if not is_stored]
                if missing:
                    encode_together(missing)
                for number, (_, index), was_stored in zip(numbers, pictures, were_stored, strict=True):
                    tile = None if self.tiles is None else self.tiles[number % len(self.tiles)].index
                    yield EmbeddedFrame(index, was_stored, number + 1, len(self), tile)

    @contextmanager
    def _opened(self, frames_ahead: int) -> Iterator[Callable[[int], tuple[FrameFeatures, int]]]:
        """Hand out what gives a picture by its number: tile by tile, and frame by frame."""
        if self.tiles is not None:
            tiles = self.tiles

            def part(number: int) -> tuple[FrameFeatures, int]:
                place, tile = divmod(number, len(tiles))
                return tile_features(self._model, self._source, tiles[tile].window, self._store), self.frames[place]

            yield part
            return
        images = open_prepared_frames(
            self._source,
            input_size=self._model.input_size,
            device=self._model.device,
            cached_frames=self._batch,
            frames_ahead=frames_ahead,
            store=self._store,
        )
        features = FrameFeatures(self._model, images, store=self._store, memory_bytes=0, ahead=0)
        try:
            yield lambda number: (features, self.frames[number])
        finally:
            features.close()
            images.stop_reading_ahead()


def embed_stack(
    model: FrameSegmenter,
    stack: FrameSource,
    store: EmbeddingStore,
    frames: Sequence[int] | None = None,
    *,
    tiles: TileGrid | None = None,
    batch: int | None = None,
) -> StackEmbedding:
    """Store the features of a stack's frames for later use; those already there are left as they are.

    The model's video predictor finds them when it opens the same frames with the same store; and
    :class:`~sam2_core.inference.tile_tracker.TiledTracker` where they are encoded in its tiles.

    Parameters
    ----------
    model : FrameSegmenter
        The model, or any predictor of video.
    stack : path, array, list or FrameStack
        See :func:`sam2_core.volumes.frames.open_frames`. It stays open.
    store : EmbeddingStore
    frames : sequence of int, optional
        Which frames, in which order; all by default.
    tiles : TileGrid, optional
        Encode each tile of a frame in place of the whole; of one tile that is the same.
    batch : int, optional
        How many are encoded at once, and between two chances to cancel; by default what suits the model's device.

    Returns
    -------
    StackEmbedding
        ``len()``, ``.needed_bytes`` and ``.usage`` say what is ahead; iterating over it does the work and yields an
        :class:`EmbeddedFrame` for each frame, or each tile of one.

    Raises
    ------
    MissingFileError, InvalidInputError, InvalidTypeError
        The stack cannot be opened, there is no such frame, the tiles are those of other frames, or the features need
        more than the store's quota or the disk has room for: nothing is encoded then.
    """
    opened = open_frames(stack)
    wanted = range(len(opened)) if frames is None else list(frames)
    for index in wanted:
        if not 0 <= index < len(opened):
            raise InvalidInputError(f"{opened.name} has frames 0 to {len(opened) - 1}; there is no frame {index}")
    if batch is not None and batch < 1:
        raise InvalidInputError(f"batch must be at least 1; got {batch}")
    if tiles is not None and tiles.frame_size != tuple(opened.frame_size):
        raise InvalidInputError(
            f"the tiles cover frames of {tiles.frame_size} (height, width), those of {opened.name} are "
            f"{tuple(opened.frame_size)}; lay them with TileGrid.for_model(stack.frame_size, model.input_size)"
        )
    embedding = StackEmbedding(model, opened, store, wanted, batch or frames_at_once(model), tiles)
    usage = embedding.usage
    # what others stored can be let go of for this
    room = min(usage.quota_bytes, usage.free_bytes + usage.stored_bytes)
    if embedding.needed_bytes > room:
        in_tiles = "" if embedding.tiles is None else f", in {len(embedding.tiles)} tiles each,"
        raise InvalidInputError(
            f"features of {len(wanted)} frames of {opened.name}{in_tiles} take {_size(embedding.needed_bytes)}; the "
            f"embedding store in {store.folder} has room for {_size(room)} (quota "
            f"{_size(usage.quota_bytes)}, free on disk {_size(usage.free_bytes)}). Choose fewer frames, a "
            "larger quota, or another folder."
        )
    return embedding


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"

"""Fill the embedding store with a stack's features ahead of any use, and go on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_features import FrameFeatures, frames_at_once
from sam2_core.inference.video_frames import DEFAULT_FRAMES_AHEAD, open_prepared_frames
from sam2_core.volumes.frames import FrameSource, open_frames

if TYPE_CHECKING:
    from sam2_core.model.frame_segmenter import FrameSegmenter
    from sam2_core.volumes.embedding_store import EmbeddingStore, StoreUsage


@dataclass(frozen=True)
class EmbeddedFrame:
    """Progress of an embedding: one frame more is in the store.

    Attributes
    ----------
    frame_index : int
        Which one.
    was_stored : bool
        Whether it was there before.
    done, total : int
        How many of how many frames are there now.
    """

    frame_index: int
    was_stored: bool
    done: int
    total: int


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
    """

    def __init__(
        self, model: FrameSegmenter, source: FrameSource, store: EmbeddingStore, frames: Sequence[int], batch: int
    ) -> None:
        self.frames = frames
        self.needed_bytes = store.needed(len(frames), model)
        self.usage: StoreUsage = store.usage()
        self._model = model
        self._source = source
        self._store = store
        self._batch = batch

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[EmbeddedFrame]:
        in_order = all(after - before == 1 for before, after in zip(self.frames, self.frames[1:], strict=False))
        images = open_prepared_frames(
            self._source,
            input_size=self._model.input_size,
            device=self._model.device,
            cached_frames=self._batch,
            # of frames here and there, the next in order are none that are wanted
            frames_ahead=DEFAULT_FRAMES_AHEAD if in_order else 0,
            store=self._store,
        )
        features = FrameFeatures(self._model, images, store=self._store, memory_bytes=0, ahead=0)
        try:
            for start in range(0, len(self.frames), self._batch):
                indices = self.frames[start : start + self._batch]
                missing = [index for index in indices if not features.is_stored(index)]
                if missing:
                    features.encode(missing)
                for done, index in enumerate(indices, start=start + 1):
                    yield EmbeddedFrame(index, index not in missing, done, len(self.frames))
        finally:
            features.close()
            images.stop_reading_ahead()


def embed_stack(
    model: FrameSegmenter,
    stack: FrameSource,
    store: EmbeddingStore,
    frames: Sequence[int] | None = None,
    *,
    batch: int | None = None,
) -> StackEmbedding:
    """Store the features of a stack's frames for later use; those already there are left as they are.

    The model's video predictor finds them when it opens the same frames with the same store.

    Parameters
    ----------
    model : FrameSegmenter
        The model, or any predictor of video.
    stack : path, array, list or FrameStack
        See :func:`sam2_core.volumes.frames.open_frames`. It stays open.
    store : EmbeddingStore
    frames : sequence of int, optional
        Which frames, in which order; all by default.
    batch : int, optional
        How many are encoded at once, and between two chances to cancel; by default what suits the model's device.

    Returns
    -------
    StackEmbedding
        ``len()``, ``.needed_bytes`` and ``.usage`` say what is ahead; iterating over it does the work and yields an
        :class:`EmbeddedFrame` for each frame.

    Raises
    ------
    MissingFileError, InvalidInputError, InvalidTypeError
        The stack cannot be opened, there is no such frame, or the frames need more than the store's quota or the disk
        has room for: nothing is encoded then.
    """
    opened = open_frames(stack)
    wanted = range(len(opened)) if frames is None else list(frames)
    for index in wanted:
        if not 0 <= index < len(opened):
            raise InvalidInputError(f"{opened.name} has frames 0 to {len(opened) - 1}; there is no frame {index}")
    if batch is not None and batch < 1:
        raise InvalidInputError(f"batch must be at least 1; got {batch}")
    embedding = StackEmbedding(model, opened, store, wanted, batch or frames_at_once(model))
    usage = embedding.usage
    # what others stored can be let go of for this
    room = min(usage.quota_bytes, usage.free_bytes + usage.stored_bytes)
    if embedding.needed_bytes > room:
        raise InvalidInputError(
            f"features of {len(wanted)} frames of {opened.name} take {_size(embedding.needed_bytes)}; the "
            f"embedding store in {store.folder} has room for {_size(room)} (quota "
            f"{_size(usage.quota_bytes)}, free on disk {_size(usage.free_bytes)}). Choose fewer frames, a "
            "larger quota, or another folder."
        )
    return embedding


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"

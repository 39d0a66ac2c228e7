"""The image features of one tile of a stack's frames, looked up and stored as whoever works in that tile does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sam2_core.inference.frame_features import FrameFeatures
from sam2_core.inference.tile_frames import WindowFrames
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.video_frames import prepared_frames
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.model.frame_segmenter import FrameSegmenter
    from sam2_core.volumes.embedding_store import EmbeddingStore


def tile_features(
    model: FrameSegmenter, stack: FrameStack, window: Window, store: EmbeddingStore | None
) -> FrameFeatures:
    """Open the features of a window of a stack's frames; none is read yet, and one frame is kept.

    Parameters
    ----------
    model : FrameSegmenter
        Encodes what is not in the store.
    stack : FrameStack
        The whole frames. It stays open.
    window : Window
        Pixels of the frames.
    store : EmbeddingStore, optional
        Where features are looked for and kept.
    """
    images = prepared_frames(
        WindowFrames(stack, window), input_size=model.input_size, device=model.device, cached_frames=1, store=store
    )
    return FrameFeatures(model, images, store=store, memory_bytes=0, ahead=0)

"""The frames of a video as the model wants them: read when needed, a bounded number of them kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.frame_transform import FrameTransform
from sam2_core.volumes.embedding_store_key import pixels_digest
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import FrameSource, open_frames

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

#: Frames kept once read: enough to go back and forth around a click, little next to the model itself.
DEFAULT_CACHED_FRAMES = 8
#: Frames read ahead in the background where that is asked for.
DEFAULT_FRAMES_AHEAD = 4


@dataclass(frozen=True)
class _Frame:
    """A frame as model input, and the digest of its pixels as read, where that is wanted."""

    pixels: torch.Tensor
    digest: str | None


class PreparedFrames:
    """A stack's frames, resized and normalised, as a read-only sequence of tensors.

    Parameters
    ----------
    stack : FrameStack
        The frames as they are, which says how many there are and of what size.
    transform : FrameTransform
        Resizes and normalises them.
    device : torch.device
        Where the tensors are wanted.
    cached_frames : int
        How many frames are kept, at least 1.
    frames_ahead : int
        How many frames a background thread reads ahead, in the direction in which frames were last asked for; 0 reads
        only what is asked for. An error met there is raised when the frame it belongs to is asked for.
    scaled_stack : FrameStack, optional
        The same frames already of the model's size, to be read instead, where the source can scale by itself.
    store : EmbeddingStore, optional
        Where features of the frames are kept: then each frame's digest is taken when it is read, see :meth:`digest`.
    """

    def __init__(
        self,
        stack: FrameStack,
        transform: FrameTransform,
        device: torch.device,
        *,
        cached_frames: int = DEFAULT_CACHED_FRAMES,
        frames_ahead: int = 0,
        scaled_stack: FrameStack | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        if cached_frames < 1 or frames_ahead < 0:
            raise InvalidInputError(
                f"cached_frames must be at least 1 and frames_ahead at least 0; got {cached_frames} and {frames_ahead}."
            )
        self.stack = stack
        self._source = scaled_stack or stack
        self.transform = transform
        self.device = device
        self.cached_frames = cached_frames
        self.frames_ahead = frames_ahead
        self._hints = None if store is None else store.hints(self._source)
        self._cache: OrderedDict[int, _Frame] = OrderedDict()
        self._upcoming: dict[int, Future[_Frame]] = {}
        self._last_index = -1
        # decoders keep a position in the file: one reader at a time
        self._reading = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sam2-frames") if frames_ahead else None

    def __len__(self) -> int:
        return len(self.stack)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[index] for index in range(len(self)))

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width) of the frames as they are in the source."""
        return self.stack.frame_size

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return frame ``index`` (from the end if negative) as (3, H, W) float32, normalised, on ``device``."""
        return self._frame(index).pixels

    def digest(self, index: int) -> str:
        """Digest of a frame's pixels as read, for the embedding store; the frame is read unless it is at hand.

        Raises
        ------
        StateError
            The frames were opened without a store.
        """
        digest = self._frame(index).digest
        if digest is None:
            raise StateError("these frames were opened without an embedding store; pass store= when they are opened")
        return digest

    def known_digest(self, index: int) -> str | None:
        """Digest of a frame's pixels if it is known without reading the frame: it is at hand, or its file unchanged."""
        frame = self._cache.get(index)
        if frame is not None:
            return frame.digest
        return None if self._hints is None else self._hints.get(index)

    def _frame(self, index: int) -> _Frame:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"Frame {index} does not exist: this stack has {len(self)} frames.")
        frame = self._cache.get(index)
        if frame is not None:
            # looked at again: no step of a journey, whose direction stays as it is
            self._cache.move_to_end(index)
            return frame
        waiting = self._upcoming.pop(index, None)
        frame = self._read(index) if waiting is None or waiting.cancelled() else waiting.result()
        self._cache[index] = frame
        while len(self._cache) > self.cached_frames:
            self._cache.popitem(last=False)
        if self._thread is not None:
            self._read_ahead(self._thread, index)
        return frame

    def stop_reading_ahead(self) -> None:
        """End the background thread; frames are read when asked for from now on."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
        self._upcoming.clear()

    def close(self) -> None:
        """Stop reading ahead and let go of the frames and the source."""
        self.stop_reading_ahead()
        self._cache.clear()
        self.stack.close()
        self._source.close()

    def _read(self, index: int) -> _Frame:
        with self._reading:
            state = None if self._hints is None else self._hints.state(index)
            pixels = self._source.read(index)
        digest = None
        if self._hints is not None:
            digest = pixels_digest(pixels)
            self._hints.set(index, digest, state)
        return _Frame(self.transform(pixels, self.device), digest)

    def _read_ahead(self, thread: ThreadPoolExecutor, index: int) -> None:
        direction = -1 if index < self._last_index else 1
        self._last_index = index
        wanted = [index + direction * step for step in range(1, self.frames_ahead + 1)]
        for stale in [frame for frame in self._upcoming if frame not in wanted]:
            self._upcoming.pop(stale).cancel()
        for frame in wanted:
            if 0 <= frame < len(self) and frame not in self._cache and frame not in self._upcoming:
                self._upcoming[frame] = thread.submit(self._read, frame)


def prepared_frames(
    stack: FrameStack,
    *,
    input_size: tuple[int, int],
    device: torch.device,
    cached_frames: int = DEFAULT_CACHED_FRAMES,
    frames_ahead: int = 0,
    store: EmbeddingStore | None = None,
) -> PreparedFrames:
    """Prepare the frames of an open stack, of which none is read; see :func:`open_prepared_frames`."""
    scaled = stack.scaled_to(input_size)
    return PreparedFrames(
        stack,
        FrameTransform(input_size, resampling="frame" if scaled is None else "decoder"),
        device,
        cached_frames=cached_frames,
        frames_ahead=frames_ahead,
        scaled_stack=scaled,
        store=store,
    )


def open_prepared_frames(
    source: FrameSource,
    *,
    input_size: tuple[int, int],
    device: torch.device,
    cached_frames: int = DEFAULT_CACHED_FRAMES,
    frames_ahead: int = 0,
    store: EmbeddingStore | None = None,
) -> PreparedFrames:
    """Open anything that holds frames, to be resized as the official predictor does for its kind.

    Pictures are resampled as the official loader of JPEG folders does it (bicubic on 8-bit values); videos are scaled
    by their decoder (bilinear). The first frame is read, so that what cannot be read is refused at once.

    Parameters
    ----------
    source : path, bytes, array, list or FrameStack
        See :func:`sam2_core.volumes.frames.open_frames`.
    input_size : (int, int)
        (height, width) of the model's input.
    device, cached_frames, frames_ahead, store
        See :class:`PreparedFrames`.
    """
    frames = prepared_frames(
        open_frames(source),
        input_size=input_size,
        device=device,
        cached_frames=cached_frames,
        frames_ahead=frames_ahead,
        store=store,
    )
    frames[0]
    return frames

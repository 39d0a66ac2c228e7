"""FrameFeatures: the image features of a stack's frames, each encoded once and then had from memory or the store."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.inference.model_autocast_off import without_autocast
from sam2_core.inference.video_frames import PreparedFrames
from sam2_core.model.results import ImageFeatures
from sam2_core.volumes.embedding_store_key import EmbeddingKey, feature_bytes, feature_space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam2_core.model.frame_segmenter import FrameSegmenter
    from sam2_core.volumes.embedding_store import EmbeddingStore

#: Features kept in memory unless told otherwise: some ten frames in fp32 at 1024 px.
DEFAULT_MEMORY_BYTES = 256 * 2**20
#: Frames whose stored features are read in the background while the current one is worked on.
DEFAULT_AHEAD = 1
# frames asked for lately, from which the direction of travel is seen
_REMEMBERED_FRAMES = 8
_HALF_LIMIT = float(np.finfo(np.float16).max)


class FrameFeatures:
    """The image features of frames: kept in memory up to a byte budget, then in the store, else encoded.

    Where there is a store, features are rounded to its float16 before their first use, and laid out in memory as they
    come from it, so that a run that encodes and one that finds everything stored agree in every bit.

    Parameters
    ----------
    model : FrameSegmenter
        Encodes what is not at hand.
    frames : PreparedFrames
        The frames; opened with the same store, if there is one.
    store : EmbeddingStore, optional
        Where features are looked for and kept.
    memory_bytes : int
        Size up to which features stay in memory, on the model's device and in its dtype; the latest frame's always do.
    batch : int
        How many frames are encoded at once while frames are asked for one after another in one direction. A frame asked
        for by itself is encoded by itself, so that a first click waits for nothing else. Results of different batches
        may differ in the last digit.
    ahead : int
        How many frames' stored features a background thread reads ahead, in the direction of travel.

    Raises
    ------
    InvalidInputError
        ``memory_bytes`` or ``ahead`` is negative, or ``batch`` below 1.
    StateError
        There is a store, and the model is in training mode.
    """

    def __init__(
        self,
        model: FrameSegmenter,
        frames: PreparedFrames,
        *,
        store: EmbeddingStore | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        batch: int = 1,
        ahead: int = DEFAULT_AHEAD,
    ) -> None:
        if memory_bytes < 0 or batch < 1 or ahead < 0:
            raise InvalidInputError(
                "memory_bytes and ahead must be at least 0 and batch at least 1; "
                f"got {memory_bytes}, {ahead} and {batch}"
            )
        self._model = model
        self._frames = frames
        self._store = store
        self._memory_bytes = memory_bytes
        # what is encoded ahead must stay until it is asked for
        self._batch = max(1, min(batch, memory_bytes // feature_bytes(model, model.dtype.itemsize)))
        self._ahead = ahead
        self._kept: OrderedDict[int, ImageFeatures] = OrderedDict()
        self._positions: tuple[Tensor, ...] | None = None
        self._asked: deque[int] = deque(maxlen=_REMEMBERED_FRAMES)
        self._upcoming: dict[int, Future[tuple[NDArray[np.float16], ...] | None]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._space = None
        if store is not None:
            self._space = feature_space(model, frames.transform.description)
            if ahead:
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sam2-features")

    @property
    def resident_bytes(self) -> int:
        """Bytes of the features in memory now (positions, of which there is one set for all frames, not counted)."""
        return sum(level.nbytes for features in self._kept.values() for level in features.maps)

    @torch.inference_mode()
    def get(self, frame_index: int) -> ImageFeatures:
        """Return a frame's features: a batch of 1, on the model's device, in its dtype.

        Parameters
        ----------
        frame_index : int
            From 0.

        Raises
        ------
        IndexError
            There is no such frame.
        InvalidInputError
            The frame cannot be read.
        """
        direction = self._direction(frame_index)
        features = self._kept.get(frame_index)
        if features is None:
            features = self._stored(frame_index)
        if features is None:
            wanted = [frame_index]
            if direction and self._batch > 1:
                wanted += self._missing_ahead(frame_index, direction)
            found = self.encode(wanted)
            features = found[frame_index]
            self._kept.update(found)
        self._kept[frame_index] = features
        self._kept.move_to_end(frame_index)
        while len(self._kept) > 1 and self.resident_bytes > self._memory_bytes:
            self._kept.popitem(last=False)
        if self._thread is not None and direction:
            self._read_ahead(self._thread, frame_index, direction)
        return features

    @torch.inference_mode()
    def encode(self, frame_indices: Sequence[int]) -> dict[int, ImageFeatures]:
        """Encode frames as one batch, whatever is known of them, and store them where there is a store.

        Parameters
        ----------
        frame_indices : sequence of int

        Returns
        -------
        dict of int to ImageFeatures
            By frame, each a batch of 1; not kept in memory here.
        """
        found = encode_together([(self, index) for index in frame_indices])
        return dict(zip(frame_indices, found, strict=True))

    def is_at_hand(self, frame_index: int) -> bool:
        """Whether a frame's features are in memory, or known to be in the store; the frame is not read."""
        if frame_index in self._kept:
            return True
        known = self._known_key(frame_index)
        return self._store is not None and known is not None and known in self._store

    def knows_stored(self, frame_index: int) -> bool | None:
        """Whether a frame's features are in the store, without reading the frame; None where nothing else tells."""
        known = self._known_key(frame_index)
        return None if known is None or self._store is None else known in self._store

    @property
    def may_be_stored(self) -> bool:
        """Whether the store holds, or ever held, features of this kind: else none of any frame's are in it."""
        return self._store is not None and self._space is not None and self._store.has_space(self._space)

    def is_stored(self, frame_index: int) -> bool:
        """Whether a frame's features are in the store, where they count as used now.

        The frame is read if nothing else tells what it holds.
        """
        if self._store is None or self._space is None:
            return False
        known = self._known_key(frame_index)
        if known is not None and self._store.touch(known):
            return True
        # the file may have been touched without a change, or be of a kind that nothing is known of
        return self._store.touch(self._space.key(self._frames.digest(frame_index)))

    def close(self) -> None:
        """Let go of all features and stop reading ahead; the frames stay open."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
        self._upcoming.clear()
        self._kept.clear()

    def _direction(self, frame_index: int) -> int:
        """1 or -1 if a neighbour was asked for lately, the latest first; 0 for a frame by itself."""
        direction = 0
        for earlier in reversed(self._asked):
            if abs(frame_index - earlier) == 1:
                direction = frame_index - earlier
                break
        if not self._asked or self._asked[-1] != frame_index:
            self._asked.append(frame_index)
        return direction

    def _missing_ahead(self, frame_index: int, direction: int) -> list[int]:
        """The next frames that have to be encoded too, as many as the batch has room for."""
        missing: list[int] = []
        last = len(self._frames) - 1
        for index in range(frame_index + direction, frame_index + direction * self._batch, direction):
            if not 0 <= index <= last:
                break
            known = self._known_key(index)
            is_stored = self._store is not None and known is not None and known in self._store
            if index not in self._kept and not is_stored:
                missing.append(index)
        return missing

    def _known_key(self, frame_index: int) -> EmbeddingKey | None:
        digest = self._frames.known_digest(frame_index)
        return None if digest is None or self._space is None else self._space.key(digest)

    def _stored(self, frame_index: int) -> ImageFeatures | None:
        if self._store is None or self._space is None:
            return None
        waiting = self._upcoming.pop(frame_index, None)
        known = self._known_key(frame_index)
        levels = None
        if waiting is not None and not waiting.cancelled():
            levels = waiting.result()
        elif known is not None:
            levels = self._store.get(known)
        if levels is None:
            key = self._space.key(self._frames.digest(frame_index))
            if key != known:
                levels = self._store.get(key)
        return None if levels is None else self._from_levels(levels)

    def _read_ahead(self, thread: ThreadPoolExecutor, frame_index: int, direction: int) -> None:
        wanted = [frame_index + direction * step for step in range(1, self._ahead + 1)]
        for stale in [index for index in self._upcoming if index not in wanted]:
            self._upcoming.pop(stale).cancel()
        for index in wanted:
            if not 0 <= index < len(self._frames) or index in self._kept or index in self._upcoming:
                continue
            known = self._known_key(index)
            if known is not None and self._store is not None and known in self._store:
                self._upcoming[index] = thread.submit(self._store.get, known)

    def _taken(self, digest: str | None, features: ImageFeatures, *, is_part: bool) -> ImageFeatures:
        """Features that were just encoded: put into the store, where there is one, and as they come out of it."""
        if self._store is None or self._space is None or digest is None:
            return self._owned(features, is_part=is_part)
        levels = _to_levels(features.maps)
        self._store.put(self._space.key(digest), levels)
        return self._from_levels(levels)

    def _owned(self, features: ImageFeatures, *, is_part: bool) -> ImageFeatures:
        """Features that nothing else writes to or keeps alive, with the positions that all frames share."""
        # an encoder compiled into CUDA graphs hands out buffers that its next run overwrites
        copies = is_part or self._model.device.type == "cuda"
        if self._positions is None:
            self._positions = tuple(level.clone() if copies else level for level in features.positions)
        maps = tuple(level.clone() for level in features.maps) if copies else features.maps
        return replace(features, maps=maps, positions=self._positions)

    def _from_levels(self, levels: Sequence[NDArray[np.float16]]) -> ImageFeatures:
        model = self._model
        maps = tuple(_to_map(level, model.device, model.dtype) for level in levels)
        if self._positions is None:
            encoding = model.image_encoder.neck.position_encoding
            self._positions = tuple(
                encoding.grid(level.shape[0], level.shape[1], model.device, model.dtype) for level in levels
            )
        return ImageFeatures(maps, self._positions)


@torch.inference_mode()
def encode_together(pictures: Sequence[tuple[FrameFeatures, int]]) -> list[ImageFeatures]:
    """Encode frames, which may be of several stacks, as one batch, and store each where its stack has a store.

    Parameters
    ----------
    pictures : sequence of (FrameFeatures, int)
        At least one, all of the same model: whose frame, and its index.

    Returns
    -------
    list of ImageFeatures
        In the same order, each a batch of 1; not kept in memory here.
    """
    images, digests = [], []
    for features, index in pictures:
        images.append(features._frames[index])
        digests.append(None if features._store is None else features._frames.digest(index))
    model = pictures[0][0]._model
    is_part = len(images) > 1
    batch = torch.stack(images) if is_part else images[0][None]
    with without_autocast(model.device):
        encoded = model.forward_image(batch.to(model.device))
    return [
        features._taken(digest, encoded.select(row) if is_part else encoded, is_part=is_part)
        for row, ((features, _), digest) in enumerate(zip(pictures, digests, strict=True))
    ]


def _to_levels(maps: Sequence[Tensor]) -> list[NDArray[np.float16]]:
    """Maps (1, C, y, x) as the store keeps them: (y, x, C) float16."""
    return [
        level[0].permute(1, 2, 0).clamp(-_HALF_LIMIT, _HALF_LIMIT).to(torch.float16).contiguous().cpu().numpy()
        for level in maps
    ]


def _to_map(level: NDArray[np.float16], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A stored level (y, x, C) as a map (1, C, y, x), channels last in memory."""
    owned = level if level.flags.writeable and level.flags.c_contiguous else np.array(level)
    return torch.from_numpy(owned).to(device).to(dtype).permute(2, 0, 1)[None]


def frames_at_once(model: FrameSegmenter) -> int:
    """How many frames to encode at once where only speed counts.

    On a CPU two take a fifth less time a frame than one, and four no less than two
    (benchmarks/bench_embedding_store.py).
    """
    return 2 if model.device.type == "cpu" else 4


def frames_ahead_at_once(model: FrameSegmenter) -> int:
    """How many frames to encode at once, ahead, while objects are carried from frame to frame.

    One on a CPU: there more gain little or nothing (on one core 1.19 s a frame in pairs, 1.16 s alone), what was asked
    for comes later, and a run that is continued elsewhere in the stack would round otherwise. One where the encoder is
    compiled, which takes minutes for each number of frames.
    """
    is_compiled = "forward" in vars(model.image_encoder)
    return 1 if is_compiled or model.device.type == "cpu" else frames_at_once(model)

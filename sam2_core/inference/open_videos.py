"""The parts of a plane that are being worked in, each a video of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_core.inference.record_store import CACHE_BYTES
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

#: Recent frames whose memories an object keeps, about: what tracking reads and a little more.
_MEMORIES_AN_OBJECT = 8
#: Frames, and frames' features, that an open place keeps: the one at hand.
_CACHED_FRAMES, _CACHED_FEATURES = 1, 1


class OpenVideos:
    """The parts of a plane that are being worked in; those used longest ago close.

    What a part knows is on disk. One that was closed is opened again as it was.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Opens them.
    frames_of : callable
        Gives the frames that a place shows.
    budget_bytes : int
        Size up to which videos stay open, estimated from what features and objects' memories take. The one in use
        stays, whatever it takes.
    folder : Path, optional
        Where their records are; a temporary folder by default.
    sizes : mapping of int to int
        Bytes of each place's journal as far as it counts, see :meth:`sizes`; what is not in it is let go of.
    store : EmbeddingStore, optional
        Where the places' features are looked for and kept.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        frames_of: Callable[[int], FrameStack],
        budget_bytes: int,
        folder: Path | None = None,
        sizes: Mapping[int, int] | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.budget_bytes = budget_bytes
        self._predictor = predictor
        self._frames_of = frames_of
        self._store = store
        self._videos: OrderedDict[int, VideoState] = OrderedDict()
        self._records: dict[int, int] = {}
        self._folder = folder
        self._temporary: weakref.finalize | None = None  # type: ignore[type-arg]
        self._unopened = dict(sizes or {})
        self._known = set(self._unopened)
        self._written: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._videos)

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._videos))

    def knows(self, place: int) -> bool:
        """Whether a place is open, or was."""
        return place in self._known

    @property
    def resident_bytes(self) -> int:
        """What the open videos take, about."""
        return sum(self._bytes_of(place) for place in self._videos)

    def open(self, place: int) -> VideoState:
        """Return a place's video, opening it again as it was, or anew, without objects."""
        video = self._videos.get(place)
        if video is None:
            video = self._predictor.init_state(
                self._frames_of(place),
                cached_frames=_CACHED_FRAMES,
                cached_features=_CACHED_FEATURES,
                embedding_store=self._store,
                records=self._records_of(place),
            )
            self._videos[place] = video
            self._records[place] = 0
            self._known.add(place)
        self._videos.move_to_end(place)
        while len(self._videos) > 1 and self.resident_bytes > self.budget_bytes:
            self.close_video(next(iter(self._videos)))
        return video

    def count_records(self, place: int, records: int) -> None:
        """Say that a place's video holds so many more results."""
        self._records[place] += records

    def close_video(self, place: int) -> None:
        """Let go of a place's features and memories; what it knows is on disk."""
        video = self._videos.pop(place, None)
        if video is not None:
            self._records.pop(place)
            video.records.flush()
            self._written[place] = video.records.journal_size
            video.close()

    def sizes(self) -> dict[int, int]:
        """Return the bytes of each place's journal, of those that were open since the last call."""
        for place, video in self._videos.items():
            video.records.flush()
            self._written[place] = video.records.journal_size
        written, self._written = self._written, {}
        return written

    def close(self) -> None:
        """Let go of all."""
        for place in list(self._videos):
            self.close_video(place)
        if self._temporary is not None:
            self._temporary()
            self._folder = self._temporary = None

    def _records_of(self, place: int) -> Path:
        """The folder of a place's records, with what counts in it."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sam2-places-"))
            self._temporary = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        folder = self._folder / f"place-{place}"
        if place not in self._known:
            # of a process that ended before this counted
            shutil.rmtree(folder, ignore_errors=True)
        elif place in self._unopened:
            os.truncate(folder / "journal.bin", self._unopened.pop(place))
        return folder

    def _bytes_of(self, place: int) -> int:
        height, width = self._predictor.input_size
        pixels, itemsize = height * width, next(self._predictor.parameters()).element_size()
        # 256 channels at stride 16, 64 at 8 and 32 at 4, with a position encoding for the first; frames are RGB float32
        features = pixels * itemsize * (1 + 1 + 2 + 1)
        held = min(self._records[place], _MEMORIES_AN_OBJECT * max(1, len(self._videos[place].obj_ids)))
        memories = held * pixels * itemsize // 4
        logits = min(self._records[place] * pixels // 4, CACHE_BYTES)
        return _CACHED_FRAMES * pixels * 12 + _CACHED_FEATURES * features + memories + logits

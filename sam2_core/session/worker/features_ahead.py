"""Prompt first, encode later: which frame to encode when there is nothing more urgent to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam2_core.inference.frame_features import FrameFeatures


class FeaturesAhead:
    """Encodes the frame a person looks at, then its neighbours, then the rest, as far as there is room.

    Parameters
    ----------
    features : FrameFeatures
    frame_count : int
    room : int
        How many frames' features stay in memory.
    stored_room : int
        How many frames' features may go to a store; 0 without one.
    works_ahead : bool
        Whether to do anything before it is asked for.
    """

    def __init__(
        self, features: FrameFeatures, frame_count: int, *, room: int, stored_room: int, works_ahead: bool
    ) -> None:
        self._features = features
        self._frame_count = frame_count
        self._room = room
        self._stored_room = stored_room
        self._works_ahead = works_ahead
        self._looked_at: int | None = None
        self._round: int | None = None
        self._waiting: Iterator[int] = iter(())
        # went to the store, which may have dropped them since: a full store would be filled for ever
        self._sent_to_store: set[int] = set()

    @property
    def wants_current(self) -> bool:
        """Whether the frame that is looked at is not encoded yet."""
        return self._works_ahead and self._looked_at is not None and not self._features.is_at_hand(self._looked_at)

    def look_at(self, frame: int) -> None:
        """A person looks at this frame now."""
        self._looked_at = self._round = frame
        self._waiting = iter(self.frames_with_room())

    def expect_work_round(self, frame: int) -> None:
        """Expect clicks on the frames round this one, where nobody says what is looked at."""
        if self._looked_at is None and frame != self._round:
            self._round = frame
            self._waiting = iter(self.frames_with_room())

    def frames_with_room(self) -> tuple[int, ...]:
        """The frames to encode, the most wanted first: as many as stay in memory or fit into the store."""
        nearest = nearest_first(self._round or 0, self._frame_count)
        # one place is left for a frame that is asked for elsewhere
        return tuple(islice(nearest, max(1, self._room - 1, self._stored_room)))

    def encode_one(self) -> bool:
        """Encode the most wanted frame that is not encoded yet; False if there is none."""
        if not self._works_ahead:
            return False
        if self.wants_current and self._looked_at is not None:
            self._features.get(self._looked_at)
            return True
        for frame in self._waiting:
            if frame in self._sent_to_store and not self._is_near(frame):
                continue
            if not self._features.is_at_hand(frame):
                self.encode(frame)
                return True
        return False

    def encode(self, frame: int) -> None:
        """Encode a frame, unless it is."""
        if self._is_near(frame) or not self._stored_room:
            self._features.get(frame)
        elif not self._features.is_stored(frame):
            # what is far away goes to the store only, and takes nobody's place in memory
            self._features.encode([frame])
        if self._stored_room:
            self._sent_to_store.add(frame)

    def _is_near(self, frame: int) -> bool:
        return abs(frame - (self._round or 0)) < self._room // 2

    def forget(self) -> None:
        """Stop working ahead until a person looks at another frame, because memory ran out."""
        self._looked_at = None
        self._waiting = iter(())


def nearest_first(frame: int, count: int) -> Iterable[int]:
    """All frames, from one on to both sides."""
    yield frame
    for distance in range(1, max(frame, count - 1 - frame) + 1):
        if frame + distance < count:
            yield frame + distance
        if frame >= distance:
            yield frame - distance

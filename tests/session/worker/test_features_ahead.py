"""Working ahead: the frame that is looked at first, then its neighbours, as far as there is room, and never in vain."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sam2_core.session.worker.features_ahead import FeaturesAhead

COUNT = 12


class Features:
    """Notes what is encoded; memory of `room` frames and a store that drops the oldest of more than `kept`."""

    def __init__(self, room: int, kept: int) -> None:
        self.room, self.kept = room, kept
        self.memory: list[int] = []
        self.store: list[int] = []
        self.encoded: list[int] = []
        self.read: list[int] = []

    def is_at_hand(self, frame: int) -> bool:
        return frame in self.memory

    def is_stored(self, frame: int) -> bool:
        self.read.append(frame)
        return frame in self.store

    def get(self, frame: int) -> None:
        if frame not in self.memory + self.store:
            self.encode([frame])
        self.memory = [*(one for one in self.memory if one != frame), frame][-self.room :]

    def encode(self, frames: list[int]) -> None:
        self.encoded += frames
        if self.kept:
            self.store = [*self.store, *frames][-self.kept :]


def ahead(features: Features, stored_room: int) -> FeaturesAhead:
    return FeaturesAhead(cast(Any, features), COUNT, room=features.room, stored_room=stored_room, works_ahead=True)


def work(one: FeaturesAhead) -> int:
    for step in range(1000):
        if not one.encode_one():
            return step
    pytest.fail("never done")


def test_without_a_store_as_many_as_memory_holds_but_one() -> None:
    features = Features(room=4, kept=0)
    one = ahead(features, 0)
    one.look_at(5)
    assert work(one) == 3
    assert features.encoded == [5, 6, 4]


def test_with_room_in_the_store_all_frames_nearest_first() -> None:
    features = Features(room=4, kept=100)
    one = ahead(features, COUNT)
    one.look_at(5)
    work(one)
    assert features.encoded[:3] == [5, 6, 4]
    assert sorted(features.encoded) == list(range(COUNT))
    # looking elsewhere neither encodes nor reads again what went to the store ahead
    features.read.clear()
    one.look_at(8)
    work(one)
    assert len(features.encoded) == COUNT
    assert set(features.read) <= {5}


@pytest.mark.parametrize("kept", [0, 5])
def test_a_store_that_drops_what_it_got_is_not_filled_for_ever(kept: int) -> None:
    features = Features(room=4, kept=kept)
    one = ahead(features, 5)
    for frame in (5, 6, 5, 6, 5):
        one.look_at(frame)
        work(one)
        assert features.is_at_hand(frame)
    # five frames round each of the two, and what memory lost in between
    assert set(features.encoded) <= set(range(3, 10))
    assert len(features.encoded) <= 20


def test_what_is_asked_for_has_the_same_room() -> None:
    assert len(ahead(Features(4, 0), 0).frames_with_room()) == 3
    assert len(ahead(Features(4, 9), 7).frames_with_room()) == 7
    assert len(ahead(Features(4, 9), 99).frames_with_room()) == COUNT

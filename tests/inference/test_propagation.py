"""Which frames a propagation goes over, and when it gives an object up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.propagation import Propagation, passes_over
from sam2_core.inference.record_store import RecordStore
from sam2_core.inference.tracked_object import Place, TrackedObject


@given(st.integers(1, 30), st.integers(0, 29), st.one_of(st.none(), st.integers(0, 40)))
def test_both_directions_go_over_every_frame_once(num_frames: int, start: int, count: int | None) -> None:
    start = min(start, num_frames - 1)
    forward, backward = ([*passes_over(start, count, num_frames, way)[0][0]] for way in ("forward", "backward"))
    both = passes_over(start, count, num_frames, "both")
    wanted = num_frames if count is None else count

    assert forward == list(range(start, num_frames))[:wanted]
    assert backward == list(range(start, -1, -1))[:wanted]
    assert [reverse for _, reverse in both] == [False, True]
    assert [*both[0][0]] == forward
    assert [*both[1][0]] == list(range(start - 1, -1, -1))[:wanted]


@pytest.fixture
def store() -> Iterator[RecordStore]:
    store = RecordStore(None)
    yield store
    store.close()


def test_an_object_that_stays_empty_is_given_up_until_its_next_conditioning_frame(store: RecordStore) -> None:
    tracked = TrackedObject("cell", 0, store)
    propagation = Propagation(True, 2, None)
    given_up = []
    for frame, value in enumerate([1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0, -1.0]):
        place = Place.CONDITIONING if frame in (0, 6) else Place.RECENT
        logits = torch.full((1, 1, 4, 4), value)
        record = FrameRecord(logits, logits > 0, torch.zeros(1, 4), torch.zeros(1, 1), torch.zeros(1), False)
        tracked.put(frame, record, place)
        given_up.append(propagation.has_given_up(tracked, frame))
        if not given_up[-1]:
            propagation.count_empty([tracked], frame)
    assert given_up == [False, False, False, False, False, True, False, False]
    propagation.count_empty([tracked], 7)
    propagation.begin(range(5, 8))
    assert not propagation.has_given_up(tracked, 5), "another pass looks for it again"
    for frame in (5, 7):
        propagation.count_empty([tracked], frame)
    propagation.begin(range(8, 10))
    assert propagation.has_given_up(tracked, 8), "one that goes on does not"
    propagation.begin(range(9, -1, -1))
    assert not propagation.has_given_up(tracked, 9)

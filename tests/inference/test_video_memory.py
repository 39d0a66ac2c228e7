"""What a frame can read, and which objects fit into one batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.record_store import RecordStore
from sam2_core.inference.tracked_object import Change, Place, TrackedObject
from sam2_core.inference.video_memory import MemoryWindow, grouped_readings

OFFICIAL = MemoryWindow(mask_memories=7, stride=1, pointers=16)


@pytest.fixture
def store() -> Iterator[RecordStore]:
    store = RecordStore(None)
    yield store
    store.close()


def record() -> FrameRecord:
    return FrameRecord(
        mask_logits=torch.full((1, 1, 8, 8), 1.5),
        mask=torch.ones(1, 1, 8, 8, dtype=torch.bool),
        object_pointer=torch.zeros(1, 4),
        object_score_logits=torch.zeros(1, 1),
        predicted_iou=torch.zeros(1),
        from_prompt=False,
    )


def tracked_object(store: RecordStore, number: int, conditioning: list[int], recent: list[int]) -> TrackedObject:
    tracked = TrackedObject(f"object {number}", number, store)
    for frame in conditioning:
        tracked.put(frame, record(), Place.CONDITIONING)
    for frame in recent:
        tracked.put(frame, record(), Place.RECENT)
    return tracked


@pytest.mark.parametrize(
    ("stride", "frame", "reverse", "expected"),
    [
        (1, 20, False, [19, 18, 17, 16, 15, 14]),
        (1, 20, True, [21, 22, 23, 24, 25, 26]),
        (5, 20, False, [19, 15, 10, 5, 0, -5]),
        (5, 23, False, [22, 20, 15, 10, 5, 0]),
        (5, 18, True, [19, 20, 25, 30, 35, 40]),
    ],
)
def test_a_frame_reads_the_one_before_and_every_nth_before_that(
    stride: int, frame: int, reverse: bool, expected: list[int]
) -> None:
    window = MemoryWindow(mask_memories=7, stride=stride, pointers=16)

    assert window.memory_frames(frame, reverse) == expected
    assert max(abs(frame - other) for other in expected) <= window.span
    assert window.pointer_frames(frame, reverse) == [frame + (n if reverse else -n) for n in range(1, 16)]
    assert set(window.readable(frame, reverse)) == {*expected, *window.pointer_frames(frame, reverse)}


def test_a_model_without_memory_reads_nothing(store: RecordStore) -> None:
    window = MemoryWindow(mask_memories=0, stride=1, pointers=0)

    assert window.readable(5, False) == []
    assert window.reading(tracked_object(store, 0, [0], [4]), 5, 10, False).shape == (0, 0)


def test_an_object_reads_its_conditioning_frames_and_the_recent_ones(store: RecordStore) -> None:
    reading = OFFICIAL.reading(tracked_object(store, 0, [3], [4, 5, 6, 90]), 7, 100, False)

    # a conditioning frame has the last temporal encoding, the frame before the first
    assert reading.frames == ((6, 3), (2, 4), (1, 5), (0, 6))
    assert reading.pointers == ((4, 3), (1, 6), (2, 5), (3, 4))


def test_an_object_without_conditioning_frame_reads_nothing(store: RecordStore) -> None:
    with pytest.raises(InvalidInputError, match="no conditioning frame"):
        OFFICIAL.reading(tracked_object(store, 0, [], [4]), 7, 100, False)


def test_the_memories_of_few_conditioning_frames_can_be_kept(store: RecordStore) -> None:
    tracked = tracked_object(store, 0, [0, 40, 80, 120], [])
    bounded = MemoryWindow(mask_memories=7, stride=1, pointers=16, conditioning=2)

    assert OFFICIAL.kept(tracked, 60) >= {0, 40, 80, 120}
    assert bounded.kept(tracked, 60) == {*range(53, 68), 40, 80}


def test_objects_that_read_as_much_share_a_batch_whichever_frames_it_is(store: RecordStore) -> None:
    objects = [
        tracked_object(store, 0, [0], [4, 5, 6]),
        tracked_object(store, 1, [2], [4, 5, 6]),
        tracked_object(store, 2, [2, 3], [4, 5, 6]),
        tracked_object(store, 3, [50], [4, 5, 6, 90]),
        tracked_object(store, 4, [1], [5, 6]),
    ]
    readings = [OFFICIAL.reading(tracked, 7, 100, False) for tracked in objects]
    groups = grouped_readings(readings, largest_group=2)

    names = [[reading.tracked.number for reading in group] for group in groups]
    # the pointer of a conditioning frame that is still to come counts where the model reads such
    assert names == [[0, 1], [3], [2], [4]]


def test_a_frame_that_is_forgotten_is_not_read(store: RecordStore) -> None:
    tracked = tracked_object(store, 0, [0], [4, 5, 6])
    tracked.change(5, Change.FORGET)
    assert [frame for _, frame in OFFICIAL.reading(tracked, 7, 100, False).frames] == [0, 4, 6]

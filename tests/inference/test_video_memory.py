"""What a frame can read, which objects fit into one batch, and what is let go of."""

from __future__ import annotations

import gc

import pytest
import torch

from sam2_core.inference.video_memory import MemoryWindow, ResidentMemories, objects_by_memory
from sam2_core.inference.video_state import FrameRecord, TrackedObject


def record(memory: bool = True) -> FrameRecord:
    return FrameRecord(
        mask_logits=torch.full((1, 1, 8, 8), 1.5),
        object_pointer=torch.zeros(1, 4),
        object_score_logits=torch.zeros(1, 1),
        predicted_iou=torch.zeros(1),
        from_prompt=False,
        memory=torch.zeros(1, 4, 2, 2) if memory else None,
    )


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


def test_a_model_without_memory_reads_nothing() -> None:
    window = MemoryWindow(mask_memories=0, stride=1, pointers=0)

    assert window.readable(5, False) == []


def test_objects_that_remember_the_same_frames_share_a_batch() -> None:
    objects = [TrackedObject(name) for name in "abcde"]
    for tracked in objects:
        tracked.conditioning[0] = record()
        tracked.recent[4] = record()
        tracked.recent[90] = record()  # out of reach, so of no matter
    objects[1].recent[3] = record()
    objects[2].conditioning[9] = record()
    del objects[3].recent[90]

    groups = objects_by_memory(objects, [3, 4, 5], largest_group=2)

    assert [[tracked.object_id for tracked in group] for group in groups] == [["a", "d"], ["e"], ["b"], ["c"]]


def test_the_oldest_memories_go_first_and_needed_ones_stay() -> None:
    records = [record() for _ in range(6)]
    size = records[0].resident_bytes
    resident = ResidentMemories(budget_bytes=3 * size)
    for frame, each in enumerate(records):
        resident.add(each, frame)
    resident.add(record(memory=False), 9)
    resident.trim(lambda frame: frame == 1)

    assert [each.memory is not None for each in records] == [False, True, False, False, True, True]
    assert resident.total_bytes == 3 * size
    compacted = records[0].mask_logits
    assert (compacted.dtype, compacted.unique().tolist()) == (torch.float16, [1.5])


def test_records_that_are_gone_do_not_count() -> None:
    kept, gone = record(), record()
    resident = ResidentMemories(budget_bytes=kept.resident_bytes)
    resident.add(gone, 0)
    resident.add(kept, 1)
    del gone
    gc.collect()
    resident.trim(lambda frame: True)

    assert kept.memory is not None
    assert resident.total_bytes == kept.resident_bytes

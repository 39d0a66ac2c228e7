"""Memories keep their values wherever their slots lie, and slots are used again."""

from __future__ import annotations

import pytest
import torch

from sam2_core.inference.memory_pool import CHUNK_SLOTS, MemoryPool

SIZE = (4, 3, 5)  # channels, height, width
CHUNK_BYTES = CHUNK_SLOTS * 4 * 3 * 5 * 4


def features(value: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.arange(60, dtype=torch.float32) + value).view(SIZE).to(dtype)


@pytest.mark.parametrize("budget", [0, CHUNK_BYTES, 10 * CHUNK_BYTES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memories_are_kept_as_tokens(budget: int, dtype: torch.dtype) -> None:
    pool = MemoryPool(budget, torch.device("cpu"))
    for number in range(5):
        for frame in range(10):
            pool.put(number, frame, features(100 * number + frame, dtype))
    for number in range(5):
        for frame in range(10):
            found = pool.get(number, frame)
            assert found is not None
            assert torch.equal(found, features(100 * number + frame, dtype).flatten(1).t())
    assert pool.resident_bytes <= budget
    assert pool.get(0, 99) is None
    pool.clear()
    assert pool.get(0, 0) is None


def test_slots_are_used_again() -> None:
    pool = MemoryPool(10 * CHUNK_BYTES, torch.device("cpu"))
    for frame in range(1000):
        pool.put(1, frame, features(frame))
        pool.keep_only(1, {0, *range(frame - 6, frame + 1)})
        assert pool.has(1, 0)
    assert pool.slot_count == CHUNK_SLOTS
    assert sorted(pool.frames(1)) == [0, *range(993, 1000)]
    kept = pool.get(1, 0)
    assert kept is not None
    assert torch.equal(kept, features(0).flatten(1).t())
    pool.discard(1, 0)
    pool.put(2, 5, features(7))
    pool.forget(1)
    assert pool.frames(1) == []
    assert pool.has(2, 5)


def test_a_memory_is_replaced_in_its_place() -> None:
    pool = MemoryPool(CHUNK_BYTES, torch.device("cpu"))
    for value in range(50):
        pool.put(1, 3, features(value))
    found = pool.get(1, 3)
    assert found is not None
    assert torch.equal(found, features(49).flatten(1).t())
    assert pool.slot_count == CHUNK_SLOTS

"""Counting what labels share: as numpy does it naively, whatever the numbers, and a few frames at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sam2_core.evaluation import frame_threads
from sam2_core.evaluation.overlap import Overlap, overlap_of, overlaps_of


@given(
    seed=st.integers(0, 10**6),
    numbers=st.sampled_from([(1, 2), (7, 2**31 + 3), (2**32 - 1, 5), (2**32, 2**40 + 1), (3, 2**63)]),
    dtype=st.sampled_from([np.uint64, np.int64, np.uint32, np.uint16]),
)
def test_pixels_are_counted(seed: int, numbers: tuple[int, int], dtype: Any) -> None:
    known = [0, *(number for number in numbers if number <= np.iinfo(dtype).max)]
    ours, real = np.random.default_rng(seed).choice(np.array(known, dtype), (2, 9, 7))
    found = Overlap()
    found.add(ours, real)
    pairs = Counter(zip(ours.ravel().tolist(), real.ravel().tolist(), strict=True))
    assert found.both == Counter({pair: count for pair, count in pairs.items() if pair[0] and pair[1]})
    assert found.predicted == Counter({each: int((ours == each).sum()) for each in known if each and each in ours})
    assert found.truth == Counter({each: int((real == each).sum()) for each in known if each and each in real})


def test_frames_come_in_order_and_few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_threads, "THREADS", 3)
    read: list[int] = []

    def frames() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for number in range(1, 41):
            read.append(number)
            yield np.full((4, 4), number, np.uint16), np.ones((4, 4), np.uint16)

    for number, one in enumerate(overlaps_of(frames()), start=1):
        assert one.both == Counter({(number, 1): 16})
        assert len(read) - number <= 3
    assert number == 40
    whole = overlap_of(frames())
    assert whole.truth == Counter({1: 640})
    assert whole.predicted == Counter(dict.fromkeys(range(1, 41), 16))


def test_a_frame_that_cannot_be_read_ends_it() -> None:
    def frames() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        yield np.ones((2, 2), np.uint8), np.ones((2, 2), np.uint8)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        overlap_of(frames())

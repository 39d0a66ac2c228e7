"""Which frames a frame looks back at, against the rules written out as a search over all frames."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.model import MemoryBank, select_closest_cond_frames
from sam2_core.model.memory_selection import read_memory

frames = st.integers(0, 30)


def bank_of(conditioning: set[int], recent: set[int]) -> Any:
    """A bank whose outputs are the frame indices themselves."""
    return MemoryBank({t: t for t in sorted(conditioning)}, {t: t for t in sorted(recent - conditioning)})  # type: ignore[misc]


def read(frame: int, bank: Any, **changes: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Frames and pointers that `frame` reads."""
    settings_: dict[str, Any] = {
        "num_maskmem": 7,
        "max_cond_frames": -1,
        "stride": 1,
        "max_pointers": 16,
        "num_frames": 40,
        "reverse": False,
        "signed_distance": True,
        "past_pointers_only": True,
    }
    reading = read_memory(frame, bank, **(settings_ | changes))
    return reading.frames, reading.pointers  # type: ignore[return-value]


def test_the_six_frames_before_and_all_prompted_ones() -> None:
    found, pointers = read(20, bank_of({3, 25}, set(range(4, 20))))

    assert found == [(6, 3), (6, 25), (5, 14), (4, 15), (3, 16), (2, 17), (1, 18), (0, 19)]
    # Pointers: prompted frames in the past, then up to 15 frames back.
    assert pointers == [(17, 3), *((distance, 20 - distance) for distance in range(1, 16))]


def test_reverse_is_the_mirror_image() -> None:
    found, pointers = read(10, bank_of({20, 5}, set(range(11, 20))), reverse=True)

    assert found == [(6, 5), (6, 20), (5, 16), (4, 15), (3, 14), (2, 13), (1, 12), (0, 11)]
    assert pointers == [(10, 20), *((distance, 10 + distance) for distance in range(1, 10))]


def test_future_pointers_and_distances() -> None:
    bank = bank_of({3, 25}, set())

    assert read(20, bank, past_pointers_only=False)[1] == [(17, 3), (-5, 25)]
    assert read(20, bank, past_pointers_only=False, signed_distance=False)[1] == [(17, 3), (5, 25)]
    assert read(20, bank, past_pointers_only=False, reverse=True)[1] == [(-17, 3), (5, 25)]


def test_without_pointers() -> None:
    assert read(20, bank_of({3}, {19}), max_pointers=0)[1] == []


def test_pointers_stop_at_the_ends_of_the_stack() -> None:
    assert read(2, bank_of({0}, {1}))[1] == [(2, 0), (1, 1)]
    assert read(37, bank_of({39}, {38, 40}), reverse=True, num_frames=40)[1] == [(2, 39), (1, 38)]


@pytest.mark.parametrize(
    ("frame", "reverse", "expected"),
    [
        (20, False, [10, 12, 14, 16, 18, 19]),
        (21, False, [10, 12, 14, 16, 18, 20]),
        (9, True, [20, 18, 16, 14, 12, 10]),
    ],
)
def test_strided_memory_takes_every_second_frame_and_the_last(frame: int, reverse: bool, expected: list[int]) -> None:
    found, _ = read(frame, bank_of({0}, set(range(1, 40))), stride=2, reverse=reverse)

    assert [t for _, t in found[1:]] == expected
    assert [slot for slot, _ in found[1:]] == [5, 4, 3, 2, 1, 0]


def test_prompted_frames_left_out_still_count_as_recent() -> None:
    found, pointers = read(20, bank_of({2, 10, 17, 19, 30}, {18}), max_cond_frames=2)

    assert found == [(6, 19), (6, 30), (2, 17), (1, 18)]
    assert (3, 17) in pointers
    assert (10, 10) in pointers
    assert (18, 2) not in pointers


@given(frames, st.sets(frames, min_size=1), st.sampled_from([-1, 2, 3, 5]))
@settings(deadline=None)
def test_closest_prompted_frames(frame: int, prompted: set[int], limit: int) -> None:
    chosen, rest = select_closest_cond_frames(frame, {t: str(t) for t in sorted(prompted)}, limit)

    assert chosen | rest == {t: str(t) for t in prompted}
    assert len(chosen) == (len(prompted) if limit == -1 else min(limit, len(prompted)))
    if rest:
        # The nearest on either side is in, and nobody left out is nearer than somebody chosen beyond those two.
        before = [t for t in prompted if t < frame]
        after = [t for t in prompted if t >= frame]
        sides = {t for t in (max(before, default=None), min(after, default=None)) if t is not None}
        assert sides <= chosen.keys()
        others = [abs(t - frame) for t in chosen if t not in sides]
        assert max(others, default=0) <= min(abs(t - frame) for t in rest)


def test_a_single_prompted_frame_is_too_few_to_choose() -> None:
    with pytest.raises(InvalidInputError, match="at least 2"):
        select_closest_cond_frames(3, {1: "a", 5: "b"}, 1)


def test_nothing_prompted() -> None:
    with pytest.raises(InvalidInputError, match="prompt"):
        read(3, bank_of(set(), {2}))

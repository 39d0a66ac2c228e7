"""How far a correction is carried."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sam2_core.inference.carried_correction import UNCHANGED_FRAMES, CarriedCorrection
from sam2_core.inference.video_tracker import Cancelled


class Written(CarriedCorrection[int]):
    """A correction that changes some frames, may not change others, and says what it was asked."""

    def __init__(self, start: int, count: int, changes: set[int] = frozenset(), fixed: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        super().__init__(start, count)
        self.changes, self.fixed = changes, fixed
        self.cancelled_on: int | None = None
        self.is_known = True
        self.said: list[str] = []

    def is_there(self) -> bool:
        return self.is_known

    def may_change(self, frame: int) -> bool:
        return frame not in self.fixed

    def set_out(self, step: int) -> None:
        self.said.append(f"set out {step}")

    def come_to_rest(self) -> None:
        self.said.append("rest")

    def compute(self, frame: int, step: int) -> tuple[int, bool]:
        if frame == self.cancelled_on:
            raise Cancelled
        return frame, frame in self.changes


def test_it_goes_forward_then_backward_to_frames_that_are_fixed() -> None:
    work = Written(5, 20, changes=set(range(20)), fixed={2, 9})
    assert list(work.frames(None)) == [6, 7, 8, 4, 3]
    assert work.said == ["set out 1", "rest", "set out -1", "rest"]
    assert list(Written(0, 3, changes={1, 2}).frames(None)) == [1, 2]
    assert list(Written(2, 3, changes={0, 1}).frames(None)) == [1, 0]


def test_seven_unchanged_masks_in_a_row_end_it_in_each_direction() -> None:
    assert list(Written(20, 60).frames(None)) == [*range(21, 28), *range(19, 12, -1)]
    # one that changes begins the count anew
    work = Written(0, 60, changes={1, 7})
    assert list(work.frames(None)) == list(range(1, 8 + UNCHANGED_FRAMES))


@pytest.mark.parametrize("how", ["asked", "closed", "cancelled", "removed"])
def test_it_comes_to_rest_however_it_is_given_up(how: str) -> None:
    work = Written(5, 20, changes=set(range(20)))
    work.cancelled_on = 8 if how == "cancelled" else None
    asked: list[int] = []
    should_stop: Callable[[], bool] = lambda: how == "asked" and len(asked) == 2  # noqa: E731
    frames = work.frames(should_stop)
    for frame in frames:
        asked.append(frame)
        if len(asked) == 2 and how == "closed":
            frames.close()  # type: ignore[attr-defined]
        if len(asked) == 2 and how == "removed":
            work.is_known = False
    assert asked == [6, 7]
    assert work.said == ["set out 1", "rest"]

"""Lines that are tracked over: few are kept, those that are worked on always, and what crosses them is told anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sam2_core.session.worker.messages import FrameLine, FrameStatement, ObjectStatement
from sam2_core.session.worker.told_lines import KEPT_LINES, ToldLines


@dataclass
class State:
    frames: Sequence[int]
    num_frames: int = 12
    closed: bool = False
    removed: list[int] = field(default_factory=list)

    def close(self, *, keep_frames_open: bool) -> None:
        assert keep_frames_open
        self.closed = True


class Predictor:
    """Says what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Sequence[int], int, int]] = []

    def init_line(self, state: State, frames: Sequence[int], axis: str) -> State:
        return State(frames)

    def prompt_points(self, state: State, frame: int, object_id: int, **given: Any) -> None:
        self.told.append((state.frames, frame, object_id))

    def remove_object(self, state: State, object_id: int, need_output: bool) -> None:
        state.removed.append(object_id)


class FakeCrops:
    """A network that remembers nothing."""

    def __init__(self) -> None:
        self.forgotten: list[int] = []
        self.is_closed = False

    def tell(self, object_id: int, said: FrameStatement) -> Callable[[], dict[int, Any]]:
        return dict

    def forget(self, object_id: int) -> None:
        self.forgotten.append(object_id)

    def close(self) -> None:
        self.is_closed = True


def line(number: int) -> FrameLine:
    return FrameLine("t", number, 12, 4)


def said(revision: int, *frames: int) -> ObjectStatement:
    return ObjectStatement(1, 0, revision, tuple(FrameStatement(frame, ((1.0, 2.0),), (1,)) for frame in frames))


def test_a_line_hears_of_its_own_frames_by_their_places_on_it() -> None:
    predictor = Predictor()
    lines: Any = ToldLines(predictor, State(range(12)))  # type: ignore[arg-type]
    one = lines.of(line(2))
    one.hear([said(1, 6, 7, 10)])
    one.told.bring_up_to_date([1])

    assert predictor.told == [(range(2, 12, 4), 1, 1), (range(2, 12, 4), 2, 1)]
    whole = lines.of(None)
    whole.hear([said(1, 7)])
    whole.told.bring_up_to_date([1])
    assert predictor.told[-1][1:] == (7, 1)


def test_idle_lines_are_closed_from_the_oldest_on() -> None:
    lines: Any = ToldLines(Predictor(), State(range(12)))  # type: ignore[arg-type]
    first = lines.of(FrameLine("z", 0, 1, 1))
    with lines.used(first):
        others = [lines.of(FrameLine("z", number, number + 1, 1)) for number in range(1, KEPT_LINES + 3)]
        for other in others:
            with lines.used(other):
                pass
        assert not first.network.state.closed
        assert [one.network.state.closed for one in others].count(False) == KEPT_LINES - 1
    assert lines.of(FrameLine("z", 0, 1, 1)) is first
    assert lines.of(FrameLine("z", 1, 2, 1)) is not others[0]


def test_what_is_found_with_one_preset_is_told_anew_with_the_other() -> None:
    predictor = Predictor()
    state = State(range(12))
    lines: Any = ToldLines(predictor, state)  # type: ignore[arg-type]
    whole, crops = lines.of(None), FakeCrops()
    lines._network = lambda line, preset: crops
    in_crops = lines.of(None, "crops")
    assert in_crops is lines.of(None, "crops") is not whole
    for each in (whole, in_crops):
        each.hear([said(1, 4, 5)])
        each.told.bring_up_to_date([1])
    for found, other in ((in_crops, whole), (whole, in_crops)):
        assert not other.told.must_forget(1)
        lines.outdate_others(found, [1])
        assert other.told.must_forget(1)
        assert not found.told.must_forget(1)
        other.told.bring_up_to_date([1])
    assert (state.removed, crops.forgotten) == ([1], [1])
    lines.close()
    assert crops.is_closed
    assert not state.closed, "the whole stack stays open"


def test_what_is_found_on_a_line_is_told_anew_on_those_that_cross_it() -> None:
    predictor = Predictor()
    lines: Any = ToldLines(predictor, State(range(12)))  # type: ignore[arg-type]
    one, other = lines.of(line(0)), lines.of(line(1))
    for each in (one, other):
        each.hear([said(1, 4, 5)])
        each.told.bring_up_to_date([1])
    count = len(predictor.told)
    lines.outdate_others(one, [1])
    for each in (one, other):
        each.told.bring_up_to_date([1])

    assert (one.network.state.removed, other.network.state.removed) == ([], [1])
    assert len(predictor.told) == count + 1

"""Spans of frames in which the same objects go together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sam2_core.hooks.frame_spans import shared_spans

spans = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5)


@given(spans)
def test_every_object_goes_over_its_own_frames_once_and_all_go_together(given_spans: list[tuple[int, int]]) -> None:
    found = shared_spans([(start, stop, number) for number, (start, stop) in enumerate(given_spans)])

    frames = [frame for start, stop, _ in found for frame in range(start, stop)]
    assert frames == sorted(set(frames)), "in order, each once"
    for number, (start, stop) in enumerate(given_spans):
        assert [frame for first, last, objects in found if number in objects for frame in range(first, last)] == list(
            range(start, stop)
        )
    assert all(objects for _, _, objects in found)


def test_objects_that_end_together_are_not_taken_apart() -> None:
    assert shared_spans([(0, 4, "a"), (2, 4, "b"), (2, 4, "c")]) == [(0, 2, ["a"]), (2, 4, ["a", "b", "c"])]

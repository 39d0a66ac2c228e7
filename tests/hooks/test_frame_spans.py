"""Spans of frames in which the same objects go together."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from sam2_core.hooks.frame_spans import shared_spans, stretches_from
from sam2_core.inference.propagation import passes_over

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


@given(
    st.dictionaries(st.integers(0, 5), st.integers(0, 11), min_size=1, max_size=5),
    st.none() | st.integers(0, 14),
    st.sampled_from(["forward", "backward", "both"]),
)
def test_each_object_goes_over_the_frames_that_it_would_go_over_alone(
    firsts: dict[Hashable, int], count: int | None, direction: Literal["forward", "backward", "both"]
) -> None:
    found = stretches_from(firsts, count, 12, direction)

    for object_id, first in firsts.items():
        alone = [frame for frames, _ in passes_over(first, count, 12, direction) for frame in frames]
        mine = [frame for frames, who in found if who is None or object_id in who for frame in frames]
        assert mine == alone
    for step in (1, -1):
        frames = [frame for part, _ in found if part.step == step for frame in part]
        assert frames == sorted(set(frames), reverse=step < 0), "in order, each once a direction"
    assert all(who is None or len(who) < len(firsts) for _, who in found)

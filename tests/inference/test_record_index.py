"""The index says of every frame what a dictionary would."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.inference.record_index import FrameFlags, RecordIndex, RecordRef
from sam2_core.inference.record_segments import SegmentPlace

STEPS = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.sampled_from([FrameFlags.RECENT, FrameFlags.CONDITIONING]),
        st.integers(0, 2**40),
        st.booleans(),
    ),
    max_size=60,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_it_knows_what_a_dictionary_knows(steps: list[tuple[int, FrameFlags, int, bool]]) -> None:
    index, known = RecordIndex(), {}
    for frame, place, offset, from_prompt in steps:
        index.set_flags(frame, FrameFlags.TRACKED)
        ref = RecordRef(offset, 5, SegmentPlace(3, offset, 9), from_prompt)
        index.put(frame, ref, place)
        known[frame] = (ref, place)

    assert {frame: index.ref(frame) for frame in range(2001) if index.ref(frame)} == {
        frame: ref for frame, (ref, _) in known.items()
    }
    for place in (FrameFlags.RECENT, FrameFlags.CONDITIONING):
        frames = sorted(frame for frame, (_, where) in known.items() if where == place)
        assert list(index.frames(place)) == frames
        assert index.count(place) == len(frames)
    assert list(index.frames(FrameFlags.TRACKED)) == sorted(known)


def test_it_takes_thirty_bytes_a_frame_and_lets_go_of_the_past() -> None:
    index = RecordIndex()
    for frame in range(10_000):
        index.put(frame, RecordRef(frame, 1, SegmentPlace(1, 0, 1), False), FrameFlags.RECENT)
    assert index.nbytes < 10_500 * 30
    index.forget_before(9000, frozenset({100}))
    assert index.nbytes < 2000 * 30
    assert index.ref(100) is not None
    assert index.ref(600) is None
    assert index.ref(9500) is not None

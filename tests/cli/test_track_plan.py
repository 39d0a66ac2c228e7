from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam2_core.cli.track_plan import Direction, Stretch, plan_stretches


def frames_of(stretch):
    step = -1 if stretch.reverse else 1
    return range(stretch.start, stretch.start + step * stretch.count, step)


def test_objects_join_where_they_were_prompted():
    assert plan_stretches({1: 2, 7: 5, 4: 2}, range(8), Direction.BOTH) == [
        Stretch(2, 3, False, (1, 4)),
        Stretch(5, 3, False, (1, 4, 7)),
        Stretch(4, 2, True, (7,)),
        Stretch(2, 3, True, (1, 4, 7)),
    ]
    assert plan_stretches({1: 2}, range(8), Direction.FORWARD) == [Stretch(2, 6, False, (1,))]
    assert plan_stretches({1: 2}, range(8), Direction.BACKWARD) == [Stretch(2, 3, True, (1,))]
    assert plan_stretches({1: 0}, range(8), Direction.BOTH) == [Stretch(0, 8, False, (1,))]
    assert plan_stretches({1: 12}, range(10, 13), Direction.BOTH) == [
        Stretch(12, 1, False, (1,)),
        Stretch(11, 2, True, (1,)),
    ]


@settings(suppress_health_check=[HealthCheck.too_slow])  # what is slow on a busy machine is not the test
@given(
    st.integers(0, 5),
    st.integers(1, 12),
    st.dictionaries(st.integers(1, 9), st.integers(0, 11), min_size=1),
    st.sampled_from(Direction),
)
def test_each_object_is_tracked_over_each_of_its_frames_in_order(first, length, offsets, direction):
    reach = range(first, first + length)
    first_frames = {one: first + offset % length for one, offset in offsets.items()}
    plan = plan_stretches(first_frames, reach, direction)
    for one, start in first_frames.items():
        forward = [frame for each in plan if not each.reverse and one in each.object_ids for frame in frames_of(each)]
        backward = [frame for each in plan if each.reverse and one in each.object_ids for frame in frames_of(each)]
        assert forward == ([] if direction is Direction.BACKWARD else list(range(start, reach.stop)))
        if direction is Direction.FORWARD:
            assert backward == []
        else:
            # its own frame again where others are tracked to it
            assert backward in ([*range(start, first - 1, -1)], [*range(start - 1, first - 1, -1)])
    for reverse in (False, True):
        swept = [frame for each in plan if each.reverse == reverse for frame in frames_of(each)]
        assert swept == sorted(set(swept), reverse=reverse)

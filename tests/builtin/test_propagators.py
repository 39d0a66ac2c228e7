"""The built-in propagators come through the hook, and run on the same sweeps as the predictor's directions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.builtin.propagators import between_corrections
from sam2_core.errors import StateError
from sam2_core.hooks import FrameDone, Plugins, Propagator, Selection, using_plugins
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from tests.inference.video_scene import disc, small_predictor, stack

COUNT = 8


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture(autouse=True)
def plugins() -> Iterator[Plugins]:
    plugins = Plugins(Selection(only_builtin=True), strict=True)
    plugins.load_installed()
    with using_plugins(plugins):
        yield plugins


def prompted(predictor: SAM2VideoPredictor) -> VideoState:
    """One object with a mask on frames 1 and 6, another with one on frame 2."""
    state = predictor.init_state(stack(COUNT))
    predictor.prompt_mask(state, 1, 1, disc((20, 30), 9))
    predictor.prompt_mask(state, 6, 1, disc((30, 25), 9))
    predictor.prompt_mask(state, 2, 2, disc((70, 35), 9))
    return state


def test_registered_through_the_hook(plugins: Plugins) -> None:
    # sam2_propagators is the hook
    found = plugins.contributions(Propagator)

    assert list(found) == ["both", "forward", "backward", "between-corrections", "inward"]
    assert all(one.contribution.summary for one in found.values())


@pytest.mark.parametrize("name", ["forward", "backward", "both"])
def test_bit_for_bit_the_directions_of_the_predictor(predictor: SAM2VideoPredictor, name: str) -> None:
    outcomes: list[Any] = []
    for options in ({"direction": name}, {"propagator": name}):
        state = prompted(predictor)
        results = [(result.frame_index, result.logits) for result in predictor.propagate(state, 3, 3, **options)]
        outcomes.append(results)
        state.close()

    assert [frame for frame, _ in outcomes[0]] == [frame for frame, _ in outcomes[1]]
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(*outcomes, strict=True))


@pytest.mark.parametrize("name", ["forward", "backward", "both", "inward"])
def test_each_object_gets_what_it_would_get_alone(predictor: SAM2VideoPredictor, name: str) -> None:
    state = prompted(predictor)
    predictor.prompt_mask(state, 5, 3, disc((40, 20), 9))
    list(predictor.propagate(state, propagator=name))

    frames = {"forward": range(5, COUNT), "backward": range(6)}.get(name, range(COUNT))
    for object_id, position, first in ((2, (70, 35), 2), (3, (40, 20), 5)):
        alone = predictor.init_state(stack(COUNT))
        predictor.prompt_mask(alone, first, object_id, disc(position, 9))
        list(predictor.propagate(alone, propagator=name))
        for frame in range(COUNT):
            mine, expected = state.objects[object_id].latest(frame), alone.objects[object_id].latest(frame)
            assert (mine is None) == (expected is None)
            assert mine is None or expected is None or torch.equal(mine.mask_logits, expected.mask_logits)
        if object_id == 3:
            assert [frame for frame in range(COUNT) if alone.objects[3].latest(frame) is not None] == list(frames)
        alone.close()
    state.close()


def test_an_object_that_is_removed_meanwhile_ends_nothing(predictor: SAM2VideoPredictor) -> None:
    state = prompted(predictor)
    seen = []
    for result in predictor.propagate(state, propagator="both"):
        seen.append((result.frame_index, tuple(result.object_ids)))
        if result.frame_index == 1 and len(seen) == 1:
            predictor.remove_object(state, 1)
    assert seen == [(1, (1,)), *((frame, (2,)) for frame in (2, 3, 4, 5, 6, 7, 1, 0))]
    state.close()


def test_between_corrections_is_sweeps_of_the_predictor(predictor: SAM2VideoPredictor) -> None:
    state, expected = prompted(predictor), prompted(predictor)
    list(predictor.propagate(state, 0))
    list(predictor.propagate(expected, 0))
    outside = {frame: state.objects[1].latest_ref(frame) for frame in (0, 7)}

    results = list(predictor.propagate(state, propagator="between-corrections"))
    by_hand = [
        *predictor.propagate(expected, 2, 2, objects=[1]),
        *predictor.propagate(expected, 5, 2, objects=[1], reverse=True),
    ]

    assert [result.frame_index for result in results] == [2, 3, 5, 4]
    assert [result.object_ids for result in results] == [[1]] * 4
    assert all(torch.equal(one.logits, other.logits) for one, other in zip(results, by_hand, strict=True))
    assert {frame: state.objects[1].latest_ref(frame) for frame in (0, 7)} == outside
    state.close()
    expected.close()


def test_nothing_between_corrections_is_said(predictor: SAM2VideoPredictor) -> None:
    state = prompted(predictor)
    with pytest.raises(StateError, match="nothing between corrections"):
        list(predictor.propagate(state, objects=[2], propagator="between-corrections"))
    state.close()


class Noting:
    """Fixed frames of some objects, and a note of what is swept."""

    def __init__(self, fixed: dict[Hashable, list[int]], start: int | None = None, count: int | None = None) -> None:
        self.fixed, self.start, self.count = fixed, start, count
        self.swept: list[tuple[list[int], set[Hashable]]] = []

    @property
    def objects(self) -> list[Hashable]:
        return list(self.fixed)

    def fixed_frames(self, object_id: Hashable) -> list[int]:
        return self.fixed[object_id]

    def sweep(self, frames: range, objects: Iterable[Hashable]) -> Iterator[FrameDone]:
        self.swept.append((list(frames), set(objects)))
        yield from ()


def test_each_frame_comes_from_the_nearer_correction_and_is_read_once_a_direction() -> None:
    tracking = Noting({"a": [0, 10], "b": [2, 5, 20], "c": [4, 5]})
    list(between_corrections(tracking))  # type: ignore[arg-type]

    ahead = {frame: objects for frames, objects in tracking.swept for frame in frames if frames == sorted(frames)}
    seen: dict[Hashable, list[int]] = {"a": [], "b": [], "c": []}
    for frames, objects in tracking.swept:
        for object_id in objects:
            seen[object_id] += frames
    assert sorted(seen["a"]) == list(range(1, 10))
    assert sorted(seen["b"]) == [3, 4, *range(6, 20)]
    assert seen["c"] == []
    assert ahead[3] == {"a", "b"}
    assert ahead[12] == {"b"}
    for frames, objects in tracking.swept:
        if len(frames) > 1:
            forward = frames[0] < frames[1]
            for object_id in objects:
                fixed = np.array(tracking.fixed[object_id])
                for frame in frames:
                    before, after = fixed[fixed < frame].max(), fixed[fixed > frame].min()
                    assert frame - before <= after - frame if forward else after - frame <= frame - before


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [(10, None, range(1, 20)), (5, None, range(1, 10)), (10, 3, range(8, 13)), (0, None, range(1, 10)), (25, None, ())],
)
def test_round_a_correction(start: int, count: int | None, expected: Iterable[int]) -> None:
    tracking = Noting({"a": [0, 10, 20]}, start, count)
    if expected:
        list(between_corrections(tracking))  # type: ignore[arg-type]
    else:
        with pytest.raises(StateError):
            list(between_corrections(tracking))  # type: ignore[arg-type]

    assert sorted({frame for frames, _ in tracking.swept for frame in frames} - {10}) == [
        frame for frame in expected if frame != 10
    ]

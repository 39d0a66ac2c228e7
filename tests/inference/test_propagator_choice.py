"""Propagators by name, their options, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError, PluginError
from sam2_core.hooks import (
    FrameDone,
    Plugins,
    Propagator,
    Selection,
    Tracking,
    TrackingDirection,
    hookimpl,
    using_plugins,
)
from sam2_core.inference.propagator_choice import PropagatorChoice
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from tests.inference.video_scene import small_predictor, stack


def mirrors(
    tracking: Tracking, *, direction: TrackingDirection = "forward", weight: float = 0.5
) -> Iterator[FrameDone]:
    assert weight > 0
    for frames in tracking.passes(direction):
        yield from tracking.sweep(frames)


def breaks(tracking: Tracking) -> Iterator[FrameDone]:
    for done in tracking.sweep(range(3)):
        yield done
        if done.frame == 1:
            raise ZeroDivisionError


def talks_nonsense(tracking: Tracking) -> Iterator[Any]:
    yield 7


class Plugin:
    @hookimpl
    def sam2_propagators(self) -> list[Propagator]:
        return [
            Propagator("mirrors", propagate=mirrors),
            Propagator("breaks", propagate=breaks),
            Propagator("talks-nonsense", propagate=talks_nonsense),
        ]


@pytest.fixture(autouse=True)
def plugins() -> Iterator[Plugins]:
    plugins = Plugins(Selection(only_builtin=True))
    plugins.load_installed()
    plugins.register(Plugin(), name="mine", distribution="my-plugin", version="1.0")
    with using_plugins(plugins):
        yield plugins


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def state(predictor: SAM2VideoPredictor) -> Iterator[VideoState]:
    state = predictor.init_state(stack(3))
    predictor.prompt_points(state, 0, 1, [[20.0, 30.0]], [1])
    yield state
    state.close()


def test_the_direction_is_an_option_where_the_propagator_has_one(predictor: SAM2VideoPredictor, state: Any) -> None:
    ahead = predictor.propagate(state, 1, propagator="mirrors", weight=2)
    back = predictor.propagate(state, 1, propagator="mirrors", reverse=True)

    assert [[result.frame_index for result in results] for results in (ahead, back)] == [[1, 2], [1, 0]]


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (PluginError, "no propagator named 'other'. There are: .*mirrors", {"propagator": "other"}),
        (InvalidInputError, "mirrors has no option wait", {"propagator": "mirrors", "wait": 3}),
        (InvalidTypeError, "weight is a number; got 'much'", {"propagator": "mirrors", "weight": "much"}),
        (InvalidInputError, "breaks has no option direction", {"propagator": "breaks", "direction": "both"}),
        (InvalidInputError, 'direction is "forward"', {"propagator": "mirrors", "direction": "up"}),
        (InvalidInputError, "has no option weight", {"weight": 1.0}),
    ],
)
def test_refused_at_the_call(
    predictor: SAM2VideoPredictor, state: Any, error: type[Exception], message: str, options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        predictor.propagate(state, **options)


def test_a_propagator_that_raises_is_named_and_what_it_did_stays(
    predictor: SAM2VideoPredictor, state: VideoState, plugins: Plugins
) -> None:
    results = predictor.propagate(state, propagator="breaks")

    assert [next(results).frame_index for _ in range(2)] == [0, 1]
    with pytest.raises(PluginError, match=r"propagator 'breaks' failed. plugin mine \(my-plugin 1.0\)"):
        next(results)
    assert list(state.objects[1].recent) == [1]
    assert [failure.plugin for failure in plugins.failures] == ["mine"]


def test_a_propagator_that_talks_nonsense_is_named(
    predictor: SAM2VideoPredictor, state: VideoState, plugins: Plugins
) -> None:
    with pytest.raises(PluginError, match=r"'talks-nonsense' failed.*A propagator yields FrameDone.*got 7"):
        list(predictor.propagate(state, propagator="talks-nonsense"))


def test_being_stopped_is_no_failure(predictor: SAM2VideoPredictor, state: VideoState, plugins: Plugins) -> None:
    assert list(predictor.propagate(state, propagator="mirrors", should_stop=lambda: True)) == []
    assert plugins.failures == []


def test_an_error_of_the_callers_is_not_the_plugins(
    predictor: SAM2VideoPredictor, state: VideoState, plugins: Plugins
) -> None:
    results = predictor.propagate(state, propagator="mirrors")
    next(results)
    with pytest.raises(ZeroDivisionError):
        results.throw(ZeroDivisionError)  # type: ignore[attr-defined]
    assert plugins.failures == []


def test_what_a_resumed_run_has_to_have_in_common() -> None:
    first = PropagatorChoice.of("mirrors", "both", False, {"weight": 2.0}).description()

    assert first == PropagatorChoice.of("mirrors", "both", False, {"weight": 2}).description()
    assert first != PropagatorChoice.of("mirrors", "both", False, {"weight": 3.0}).description()
    assert first != PropagatorChoice.of(None, "both", False, {}).description()

"""What each built-in prompt type tells the model of what was drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.builtin import prompt_types
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import ArrayContext, Drawn, Gesture, ObjectPrompt, Plugins, PromptType, Selection, prompts_of
from sam2_core.inference.mask_depth import innermost

SIZE = (40, 60)
PLUGINS = Plugins(Selection(), strict=True)
PLUGINS.register(prompt_types, name="prompt-types")
GESTURES = {name: one.contribution.gesture for name, one in PLUGINS.contributions(PromptType).items()}


def context(known: Any = None) -> ArrayContext:
    labels = np.zeros((1, *SIZE), int)
    if known is not None:
        labels[0][known] = 1
    return ArrayContext(np.zeros((1, *SIZE, 3), np.uint8), labels=labels, object_id=1)


def told(name: str, *points: tuple[float, float], positive: bool = True, known: Any = None, **options: Any) -> Any:
    drawn = Drawn(GESTURES[name], 0, positive, np.array(points, np.float32))
    return prompts_of(name, drawn, context(known), plugins=PLUGINS, **options)


def painted(mask: Any, *, positive: bool = True, known: Any = None, **options: Any) -> Any:
    return prompts_of("mask", Drawn("brush", 0, positive, mask=mask), context(known), plugins=PLUGINS, **options)


def area(*window: slice) -> Any:
    mask = np.zeros(SIZE, bool)
    mask[window] = True
    return mask


def test_they_are_what_the_issue_lists() -> None:
    assert GESTURES == {
        "point": "point",
        "box": "box",
        "scribble": "path",
        "mask": "brush",
        "polygon": "polygon",
        "lasso": "path",
    }


@pytest.mark.parametrize("positive", [True, False])
def test_point(positive: bool) -> None:
    (prompt,) = told("point", (3.5, 7), positive=positive)

    assert (list(prompt.points), list(prompt.labels), prompt.replace) == ([(3.5, 7.0)], [int(positive)], False)
    assert told("point", (3, 7), start_over=True)[0].replace
    assert told("point", (60, 7)) == [], "beside the frame"


def test_box_from_any_two_corners() -> None:
    (prompt,) = told("box", (30, 5), (10, 25))
    assert prompt.box == (10, 5, 30, 25)

    (wider,) = told("box", (30, 5), (10, 45), margin=8)
    assert wider.box == (2, 0, 38, 40), "cut to the frame"
    assert told("box", (70, 5), (80, 25)) == []
    with pytest.raises(InvalidInputError, match="click or a line"):
        told("box", (30, 5), (10, 25), positive=False)


def test_scribble_has_points_at_equal_distances_along_the_line() -> None:
    (prompt,) = told("scribble", (0, 0), (10, 0), (10, 30), spacing=10)
    assert list(prompt.points) == [(0, 0), (10, 0), (10, 10), (10, 20), (10, 30)]
    assert list(prompt.labels) == [1] * 5

    (fewer,) = told("scribble", (0, 0), (10, 0), (10, 30), spacing=10, most_points=3, positive=False)
    assert list(fewer.points) == [(0, 0), (10, 10), (10, 30)]
    assert list(fewer.labels) == [0] * 3
    assert list(told("scribble", (4, 5))[0].points) == [(4, 5)], "a line of one point"
    assert list(told("scribble", (0, 8), (20, 8), most_points=1)[0].points) == [(10, 8)]
    assert list(told("scribble", (50, 8), (70, 8), spacing=10)[0].points) == [(50, 8)], "inside the frame"


def test_mask_is_added_to_the_one_there_is_or_taken_from_it() -> None:
    known, new = area(slice(5, 10), slice(5, 10)), area(slice(8, 12), slice(8, 12))

    assert np.array_equal(painted(new, known=known)[0].mask, known | new)
    assert np.array_equal(painted(new, known=known, adds_to_mask=False)[0].mask, new)
    assert np.array_equal(painted(new)[0].mask, new)
    assert np.array_equal(painted(new, known=known, positive=False)[0].mask, known & ~new)
    assert painted(known, known=known, positive=False) == [], "an empty mask is no prompt"
    assert painted(new, positive=False) == []
    assert painted(np.zeros(SIZE, bool)) == []
    assert painted(new)[0].replace
    with pytest.raises(InvalidInputError, match="frame's size"):
        painted(new[:5])


def test_polygon_is_the_pixels_within() -> None:
    corners = ((10.0, 5.0), (20.0, 5.0), (20.0, 15.0), (10.0, 15.0))

    assert np.array_equal(told("polygon", *corners)[0].mask, area(slice(5, 16), slice(10, 21)))
    reaches_out = told("polygon", (-5, -5), (5, -5), (5, 5), (-5, 5))
    assert np.array_equal(reaches_out[0].mask, area(slice(0, 6), slice(0, 6)))
    assert told("polygon", (70, 5), (80, 5), (80, 9)) == []
    known = area(slice(0, 20), slice(0, 12))
    assert np.array_equal(
        told("polygon", *corners, positive=False, known=known)[0].mask, known & ~area(slice(5, 16), slice(10, 21))
    )


def test_lasso() -> None:
    loop = [(20 + 8 * np.cos(turn), 20 + 8 * np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 30)]

    (prompt,) = told("lasso", *loop)
    assert np.allclose(prompt.box, (12, 12, 28, 28), atol=0.1)
    assert np.allclose(next(iter(prompt.points)), (20, 20), atol=1.5)
    assert list(prompt.labels) == [1]

    (box,) = told("lasso", *loop, told_as="box", margin=2)
    assert list(box.points) == []
    assert np.allclose(box.box, (10, 10, 30, 30), atol=0.1)
    (mask,) = told("lasso", *loop, told_as="mask")
    assert mask.mask[20, 20]
    assert abs(mask.mask.sum() - np.pi * 64) < 15
    (beside,) = told("lasso", *loop, positive=False)
    assert (list(beside.labels), beside.box) == ([0], None)
    assert told("lasso", (70, 5), (80, 5), (80, 9)) == []


COORDINATE = st.floats(-100, 200, width=32)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([name for name, gesture in GESTURES.items() if gesture != "brush"]),
    points=st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=12),
    positive=st.booleans(),
)
def test_whatever_is_drawn_gives_prompts_inside_the_frame(
    name: str, points: list[tuple[float, float]], positive: bool
) -> None:
    gesture: Gesture = GESTURES[name]
    wanted = {"point": points[:1], "box": (points * 2)[:2], "polygon": (points * 3)[: max(3, len(points))]}
    if name == "box" and not positive:
        return

    for prompt in told(name, *wanted.get(gesture, points), positive=positive):
        assert isinstance(prompt, ObjectPrompt)
        for x, y in prompt.points:
            assert 0 <= x < SIZE[1]
            assert 0 <= y < SIZE[0]


def test_innermost_is_in_the_thickest_part() -> None:
    mask = area(slice(10, 21), slice(5, 16)) | area(slice(14, 16), slice(5, 40))

    assert innermost(mask) == (10, 15)

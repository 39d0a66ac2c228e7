"""Prompts come in a person's units and leave in the model's; what the predictor's tests refuse is not repeated here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_transform import FrameTransform
from sam2_core.inference.image_prompts import ImagePrompts, image_prompts

HEIGHT, WIDTH = 60, 90
INPUT = (64, 128)
PAIR = [[9.0, 6.0], [45.0, 30.0]]
PLACES = st.tuples(st.floats(0, WIDTH, width=32), st.floats(0, HEIGHT, width=32))
CORNERS = st.tuples(st.integers(-20, 110), st.integers(-20, 80))


def prompts(
    point_coords: Any = None, point_labels: Any = None, box: Any = None, mask_input: Any = None, **options: Any
) -> ImagePrompts:
    settings: dict[str, Any] = {
        "image_size": (HEIGHT, WIDTH),
        "mask_input_size": (16, 32),
        "normalize_coords": True,
        "transform": FrameTransform(INPUT),
        "device": torch.device("cpu"),
    }
    return image_prompts(point_coords, point_labels, box, mask_input, **(settings | options))


@settings(deadline=None)
@given(points=st.lists(PLACES, min_size=1, max_size=4))
def test_pixels_of_the_image_become_pixels_of_the_input(points: list[tuple[float, float]]) -> None:
    found = prompts(points, [1] * len(points))

    expected = np.array(points) * [INPUT[1] / WIDTH, INPUT[0] / HEIGHT]
    assert found.coords is not None
    assert found.labels is not None
    assert (found.coords.dtype, found.labels.dtype) == (torch.float32, torch.int32)
    np.testing.assert_allclose(found.coords[0].numpy(), expected, rtol=1e-5, atol=1e-4)
    fractions = np.array(points, np.float64) / [WIDTH, HEIGHT]
    same = prompts(fractions, [1] * len(points), normalize_coords=False)
    assert same.coords is not None
    torch.testing.assert_close(same.coords, found.coords, rtol=1e-5, atol=1e-4)


def test_every_kind_has_an_axis_of_objects() -> None:
    one = prompts([[9, 6]], [1], [0, 0, 90, 60], np.zeros((1, 16, 32)))
    three = prompts(np.full((3, 2, 2), 5), np.ones((3, 2)), [[0, 0, 9, 6]] * 3, np.zeros((3, 1, 16, 32), np.float64))

    assert [None if t is None else tuple(t.shape) for t in vars(one).values()] == [
        (1, 1, 2), (1, 1), (1, 2, 2), (1, 1, 16, 32)
    ]  # fmt: skip
    assert one.boxes is not None
    assert one.boxes.tolist() == [[[0, 0], [128, 64]]]
    assert [None if t is None else tuple(t.shape) for t in vars(three).values()] == [
        (3, 2, 2), (3, 2), (3, 2, 2), (3, 1, 16, 32)
    ]  # fmt: skip


def test_one_mask_may_serve_all_objects() -> None:
    found = prompts(box=[[0, 0, 9, 6]] * 3, mask_input=np.zeros((1, 16, 32)))

    assert found.mask_input is not None
    assert found.mask_input.shape[0] == 1


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, lambda v: torch.tensor(v, dtype=torch.bfloat16)])
def test_arrays_of_any_kind_are_taken_and_left_alone(kind: Any) -> None:
    coords = kind(PAIR)
    found = prompts(coords, kind([1, 0]))

    assert found.coords is not None
    found.coords.add_(1)
    assert [[float(x), float(y)] for x, y in coords] == PAIR


def test_nothing_given_is_empty() -> None:
    assert prompts().is_empty
    assert prompts(np.zeros((0, 2)), np.zeros(0)).is_empty
    assert not prompts(mask_input=np.zeros((1, 16, 32))).is_empty


@settings(deadline=None)
@given(corner=CORNERS, size=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_a_box_is_refused_just_where_it_misses_the_image(corner: tuple[int, int], size: tuple[int, int]) -> None:
    (x0, y0), (width, height) = corner, size
    box = [x0, y0, x0 + width, y0 + height]
    if x0 > WIDTH or y0 > HEIGHT or x0 + width < 0 or y0 + height < 0:
        with pytest.raises(InvalidInputError, match="outside"):
            prompts(box=box)
    else:
        found = prompts(box=box).boxes
        assert found is not None
        np.testing.assert_allclose(
            found.flatten().numpy(), np.array(box) * ([INPUT[1] / WIDTH, INPUT[0] / HEIGHT] * 2), rtol=1e-5, atol=1e-4
        )

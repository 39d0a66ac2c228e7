"""Prompts are brought to the model's coordinates, and wrong ones refused with a word on what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.video_prompts import checked_frame_index, joined, mask_prompt, point_prompts
from sam2_core.model.results import PointPrompts

FRAME = (60, 90)
INPUT = (128, 160)


def prompts(points: Any = None, labels: Any = None, box: Any = None, normalize_coords: bool = True) -> PointPrompts:
    return point_prompts(points, labels, box, frame_size=FRAME, input_size=INPUT, normalize_coords=normalize_coords)


def test_points_are_scaled_to_the_input() -> None:
    found = prompts([[0, 0], [90, 60], [45.0, 15.0]], [1, 0, 1])

    assert found.coords.tolist() == [[[0, 0], [160, 128], [80, 32]]]
    assert found.labels.tolist() == [[1, 0, 1]]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_fractions_are_scaled_alike(points: list[tuple[float, float]]) -> None:
    found = prompts(points, [1] * len(points), normalize_coords=False)

    expected = torch.tensor(points)[None] * torch.tensor([160.0, 128.0])
    torch.testing.assert_close(found.coords, expected)


def test_a_box_comes_ahead_of_the_points_as_two_corners() -> None:
    found = prompts(torch.tensor([[9.0, 6.0]]), torch.tensor([0]), box=np.array([9, 6, 45, 30], np.int16))

    torch.testing.assert_close(found.coords, torch.tensor([[[16, 12.8], [80, 64], [16, 12.8]]]))
    assert found.labels.tolist() == [[2, 3, 0]]


def test_points_may_have_a_batch_axis_of_one_and_labels_any_number_type() -> None:
    found = prompts(np.full((1, 2, 2), 3, np.uint16), np.array([[True, False]]))

    assert found.coords.shape == (1, 2, 2)
    assert found.labels.tolist() == [[1, 0]]


def test_a_box_may_run_over_the_border() -> None:
    assert prompts(box=[-5, -5, 95, 61]).labels.tolist() == [[2, 3]]


def test_points_are_appended() -> None:
    first, second = prompts([[1, 2]], [1]), prompts([[3, 4]], [0])

    assert joined(None, second) is second
    assert joined(first, second).labels.tolist() == [[1, 0]]
    assert joined(first, second).coords.shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("given_prompt", "message"),
    [
        ({}, "got neither"),
        ({"points": [[1, 2]]}, "labels is missing"),
        ({"labels": [1]}, "points is missing"),
        ({"points": [[1, 2], [3, 4]], "labels": [1]}, "There are 2 points"),
        ({"points": [[1, 2]], "labels": [[[1]]]}, "one label for each point"),
        ({"points": [1, 2], "labels": [1]}, r"\(P, 2\)"),
        ({"points": [[1, 2, 3]], "labels": [1]}, r"\(P, 2\)"),
        ({"points": np.zeros((2, 1, 2)), "labels": [1, 1]}, r"\(P, 2\)"),
        ({"points": [], "labels": []}, "points is empty"),
        ({"points": [[np.nan, 2]], "labels": [1]}, "NaN"),
        ({"points": [[1, np.inf]], "labels": [1]}, "infinity"),
        ({"points": [[91, 2]], "labels": [1]}, r"x=91, y=2\) lies outside"),
        ({"points": [[1, -0.5]], "labels": [1]}, "lies outside"),
        ({"points": [[30, 70]], "labels": [1]}, r"not \(row, column\)"),
        ({"points": [[1, 2]], "labels": [1], "normalize_coords": False}, "normalize_coords=False"),
        ({"points": [[1, 2]], "labels": [2]}, r"box="),
        ({"points": [[1, 2]], "labels": [-1]}, "Labels are 1"),
        ({"points": [[1, 2]], "labels": [0.5]}, "Labels are 1"),
        ({"points": [[1, 2]], "labels": [np.nan]}, "Labels are 1"),
        ({"box": [1, 2, 3]}, r"\(x0, y0, x1, y1\)"),
        ({"box": [[1, 2, 3, 4], [1, 2, 3, 4]]}, r"\(x0, y0, x1, y1\)"),
        ({"box": [1, 2, np.nan, 4]}, "NaN"),
        ({"box": [30, 2, 3, 40]}, "inverted"),
        ({"box": [3, 40, 30, 2]}, "inverted"),
        ({"box": [3, 3, 3, 9]}, "inverted or empty"),
        ({"box": [100, 2, 120, 40]}, "outside the frame"),
        ({"box": [-30, 2, -3, 40]}, "outside the frame"),
    ],
)
def test_wrong_points_and_boxes_are_refused(given_prompt: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        prompts(**given_prompt)


@pytest.mark.parametrize("points", [[["a", "b"]], [[1, 2], [3]], [[1j, 2]], object(), [[None, 2]]])
def test_points_that_are_no_numbers_are_refused(points: Any) -> None:
    with pytest.raises(InvalidTypeError, match="points must"):
        prompts(points, [1])


def test_a_mask_is_resized_and_stays_a_mask() -> None:
    mask = np.zeros(FRAME, bool)
    mask[10:40, 20:70] = True
    found = mask_prompt(mask, frame_size=FRAME, input_size=INPUT)

    assert (found.shape, found.dtype) == ((1, 1, *INPUT), torch.float32)
    assert sorted(found.unique().tolist()) == [0, 1]
    assert found.mean() == pytest.approx(mask.mean(), rel=0.02)
    for same in (mask.astype(np.uint8) * 255, mask.astype(np.float32), torch.from_numpy(mask), mask.astype(np.uint16)):
        assert torch.equal(mask_prompt(same, frame_size=FRAME, input_size=INPUT), found)


def test_a_mask_of_the_input_size_is_taken_as_it_is() -> None:
    mask = torch.rand(INPUT, generator=torch.Generator().manual_seed(0)) > 0.5

    assert torch.equal(mask_prompt(mask, frame_size=FRAME, input_size=INPUT)[0, 0], mask.float())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((1, *FRAME), bool), "two dimensions"),
        (np.zeros(FRAME[0], bool), "two dimensions"),
        (np.zeros((90, 60), bool), "90x60"),
        (np.full(FRAME, np.nan, np.float32), "NaN"),
        (np.full(FRAME, 3.0, np.float32), "from 0 to 1"),
        (np.full(FRAME, -4.0, np.float32), "logits > 0"),
    ],
)
def test_wrong_masks_are_refused(mask: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        mask_prompt(mask, frame_size=FRAME, input_size=INPUT)


def test_a_mask_that_is_no_array_of_numbers_is_refused() -> None:
    for mask in ("mask.png", np.full(FRAME, "x"), np.zeros(FRAME, complex), torch.zeros(FRAME, dtype=torch.complex64)):
        with pytest.raises(InvalidTypeError, match="mask must"):
            mask_prompt(mask, frame_size=FRAME, input_size=INPUT)


def test_frame_indices_are_integers_of_the_stack() -> None:
    assert checked_frame_index(np.int64(3), 5) == 3
    for index in (-1, 5):
        with pytest.raises(InvalidInputError, match="5 frames, 0 to 4"):
            checked_frame_index(index, 5)
    for index in (1.0, "1", None):
        with pytest.raises(InvalidTypeError, match="integer"):
            checked_frame_index(index, 5)

"""Whole drawn stacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator import Appearance, Population, draw_stack


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    frames=st.integers(1, 3),
    size=st.tuples(st.integers(16, 90), st.integers(16, 90)),
    kind=st.sampled_from(["still", "z", "time"]),
)
def test_any_stack(seed: int, frames: int, size: tuple[int, int], kind: str) -> None:
    stack = draw_stack(seed, frames=frames, size=size, kind=kind)  # type: ignore[arg-type]
    assert stack.image.shape == stack.labels.shape == (frames, *size)
    assert stack.image.dtype == np.uint8
    assert stack.labels.dtype == np.uint16
    again = draw_stack(seed, frames=frames, size=size, kind=kind)  # type: ignore[arg-type]
    np.testing.assert_array_equal(stack.image, again.image)
    np.testing.assert_array_equal(stack.labels, again.labels)


def test_other_seeds_draw_other_stacks() -> None:
    assert (draw_stack(1, size=(64, 64)).image != draw_stack(2, size=(64, 64)).image).any()


@pytest.mark.parametrize("look", ["stained", "membrane", "phase", "electron"])
def test_cells_can_be_seen(look: str) -> None:
    people = Population(radius=9, spread=0.1, elongation=1.2, rods=0, waviness=0.05, gap=1.2, count=12)
    clear = Appearance(
        look=look,  # type: ignore[arg-type]
        dimmest=0.9, dome=0.2, texture=0.05, texture_scale=2, ground=0.0, ground_scale=2, shading=0, haze=0,
        blur=0.5, blur_z=0, photons=2000, read_noise=0.005, specks=0,
    )  # fmt: skip
    stack = draw_stack(4, size=(128, 128), kind="still", population=people, appearance=clear)
    inside = stack.labels[0] > 0
    grey = stack.image[0].astype(float)
    difference = grey[inside].mean() - grey[~inside].mean()
    assert abs(difference) > 20
    assert (difference > 0) == (look in ("stained", "membrane"))


def test_small_frames_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="16"):
        draw_stack(0, size=(8, 100))

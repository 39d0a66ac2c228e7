"""Whole drawn stacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator import Appearance, DrawnLabels, Population, draw_labels, draw_stack
from sam2_core.training.generator.stacks import place_cells
from sam2_core.training.generator.textures import render


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


PEOPLE = Population(radius=14, spread=0.1, elongation=1.3, rods=0, waviness=0.03, gap=0.75, count=20)
CLEAR = Appearance(
    look="stained",
    dimmest=0.9, dome=0.0, texture=0.0, texture_scale=2, ground=0.0, ground_scale=2, shading=0, haze=0,
    blur=0.5, blur_z=0, photons=1e5, read_noise=0.001, specks=0,
)  # fmt: skip


def test_the_last_cell_may_lie_under_another_everywhere() -> None:
    """A cell that shows through alone: no pixel has its label, which is the highest."""
    above, nothing = np.zeros((16, 16), np.uint16), np.zeros((16, 16), np.uint16)
    above[4:12, 4:12] = 1
    below = np.where(above > 0, 2, 0).astype(np.uint16)
    deep, flat = (above > 0).astype(np.float32), np.zeros((16, 16), np.float32)
    look = replace(CLEAR, translucency=0.5)
    glow = np.ones(3, np.float32)
    through = render(np.random.default_rng(0), [DrawnLabels(above, deep, below, deep)], look, along_z=False, glow=glow)
    alone = render(np.random.default_rng(0), [DrawnLabels(above, deep, nothing, flat)], look, along_z=False, glow=glow)
    assert through[0, 8, 8] > 1.2 * alone[0, 8, 8]


def light_of(look: Appearance, people: Population = PEOPLE) -> tuple[np.ndarray, DrawnLabels]:
    """Light (y, x) of one frame before the stretch, and its labels; the same cells at each call."""
    outlines = place_cells(np.random.default_rng(1), people, (160, 160))
    drawn = draw_labels(outlines, (160, 160))
    glow = np.ones(len(outlines) + 1, dtype=np.float32)
    glow[1:] = [outline.glow for outline in outlines]
    return render(np.random.default_rng(2), [drawn], look, along_z=False, glow=glow)[0], drawn


def test_covered_cells_show_through() -> None:
    plain, drawn = light_of(CLEAR)
    through, _ = light_of(replace(CLEAR, translucency=1.0))
    overlap = ndimage.binary_erosion(drawn.covered > 0, iterations=2)
    alone = ndimage.binary_erosion((drawn.labels > 0) & (drawn.covered == 0), iterations=2)
    assert overlap.sum() > 20
    assert through[overlap].mean() > 1.7 * plain[overlap].mean()
    np.testing.assert_allclose(through[alone], plain[alone], atol=0.05)


def test_cells_out_of_focus_have_soft_edges() -> None:
    apart = replace(PEOPLE, gap=1.4)
    sharp, drawn = light_of(CLEAR, apart)
    soft, _ = light_of(replace(CLEAR, defocused=1.0), apart)
    edge = ndimage.binary_dilation(drawn.labels > 0) & ~ndimage.binary_erosion(drawn.labels > 0)
    slope, softer = (ndimage.gaussian_gradient_magnitude(light, 0.7)[edge].mean() for light in (sharp, soft))
    assert softer < 0.75 * slope
    assert abs(soft.sum() / sharp.sum() - 1) < 0.05


def test_a_few_cells_outshine_the_others() -> None:
    def brightness(look: Appearance, people: Population) -> np.ndarray:
        light, drawn = light_of(look, people)
        return np.asarray(ndimage.mean(light, drawn.labels, np.unique(drawn.labels)[1:]))

    even = brightness(CLEAR, replace(PEOPLE, gap=1.4))
    skewed = brightness(replace(CLEAR, skew=0.5), replace(PEOPLE, gap=1.4))
    glowing = brightness(CLEAR, replace(PEOPLE, gap=1.4, condensed=0.3))
    assert even.max() / np.median(even) < 1.2
    assert skewed.max() / np.median(skewed) > 1.5
    assert glowing.max() / np.median(glowing) > 1.8


def test_small_frames_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="16"):
        draw_stack(0, size=(8, 100))


def test_light_bleaches_over_time_and_not_along_z() -> None:
    population = Population(radius=9, spread=0.1, elongation=1.2, rods=0.0, waviness=0.02, gap=1.2, count=6)
    look = Appearance(
        look="stained", dimmest=0.8, dome=0.2, texture=0.05, texture_scale=2.0, ground=0.0, ground_scale=4.0,
        shading=0.0, haze=0.0, blur=0.5, blur_z=0.0, photons=2000.0, read_noise=0.005, specks=0, bleaching=0.6,
    )  # fmt: skip
    frames = [draw_labels(place_cells(np.random.default_rng(0), population, (64, 64)), (64, 64))] * 3
    inside = frames[0].labels > 0
    over_time = render(np.random.default_rng(1), frames, look, along_z=False)[:, inside].mean(axis=1)
    np.testing.assert_allclose(over_time / over_time[0], [1.0, 0.4**0.5, 0.4], rtol=0.03)
    along_z = render(np.random.default_rng(1), frames, look, along_z=True)[:, inside].mean(axis=1)
    np.testing.assert_allclose(along_z / along_z[0], 1.0, rtol=0.03)


def test_sheets_darken_bodies_alone() -> None:
    population = Population(radius=14, spread=0.1, elongation=1.2, rods=0.0, waviness=0.02, gap=1.2, count=4)
    look = Appearance(
        look="electron", dimmest=0.9, dome=0.0, texture=0.0, texture_scale=2.0, ground=0.0, ground_scale=4.0,
        shading=0.0, haze=0.0, blur=0.1, blur_z=0.0, photons=1e6, read_noise=0.0, specks=0,
    )  # fmt: skip
    frames = [draw_labels(place_cells(np.random.default_rng(0), population, (96, 96)), (96, 96))]
    deep = frames[0].depth > 0.3
    plain = render(np.random.default_rng(1), frames, look, along_z=True)[0]
    striped = render(np.random.default_rng(1), frames, replace(look, lamellae=0.6), along_z=True)[0]
    assert striped[deep].std() > 3 * plain[deep].std()
    outside = ndimage.binary_erosion(frames[0].labels == 0, iterations=3)
    np.testing.assert_allclose(striped[outside], plain[outside], atol=0.01)

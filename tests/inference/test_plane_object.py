"""Objects and what was said of them come back from their notes."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_masks import ObjectMask

SPOTS = st.lists(st.tuples(st.floats(-9, 9e4, width=32), st.floats(-9, 9e4, width=32)), max_size=4)


@settings(max_examples=40, deadline=None)
@given(SPOTS, st.booleans(), st.booleans(), st.none() | st.tuples(*[st.floats(0, 9, width=32)] * 4), st.integers(0, 99))
def test_a_note_says_all(
    spots: list[tuple[float, float]], is_handed: bool, replaces: bool, box: tuple[float, ...] | None, seed: int
) -> None:
    points = np.array(spots, np.float32).reshape(-1, 2)
    labels = np.arange(len(spots), dtype=np.int32) % 2
    pixels = np.random.default_rng(seed).random((7, 9)) < 0.5
    mask = ObjectMask.from_pixels(None, pixels, (5, 8))
    tracked = PlaneObject("cell", 4)
    tracked.add(2, 7, PlanePrompt(points, labels, box, is_handed=is_handed, replaces=replaces))  # type: ignore[arg-type]
    tracked.add(2, 7, PlanePrompt(mask=mask, replaces=False))
    tracked.add(0, 9, PlanePrompt(mask=mask))

    back = PlaneObject.from_note(4, json.loads(json.dumps(tracked.as_note())))

    assert (back.object_id, back.number, back.is_changed) == ("cell", 4, False)
    assert {place: list(frames) for place, frames in back.prompts.items()} == {2: [7], 0: [9]}
    first, second = back.prompts[2][7]
    assert np.array_equal(first.points, points)
    assert np.array_equal(first.labels, labels)
    assert first.points.dtype == np.float32
    assert (first.box, first.mask, first.is_handed, first.replaces) == (box, None, is_handed, replaces)
    assert second.mask is not None
    assert second.mask.window == mask.window
    assert np.array_equal(second.mask.mask, mask.mask)


def test_it_says_what_changed() -> None:
    tracked = PlaneObject.from_note(1, {"id": 5, "prompts": []})
    assert not tracked.is_changed
    tracked.add(0, 0, PlanePrompt())
    assert tracked.is_changed
    tracked.is_changed = False
    tracked.forget(0, 0)
    assert tracked.is_changed
    assert tracked.prompts == {}

from __future__ import annotations

from sam2_core.checkpoints.numbered_keys import numbers_after


def test_numbers_directly_behind_the_prefix_count() -> None:
    keys = ["a.layers.0.weight", "a.layers.0.bias", "a.layers.11.weight", "b.a.layers.5.weight", "a.layers.x.weight"]

    assert numbers_after(keys, "a.layers") == {0, 11}
    assert numbers_after(keys, "a") == set()
    assert numbers_after([*keys, "aXlayers.7.weight", "a.layers.8"], "a.layers") == {0, 11}

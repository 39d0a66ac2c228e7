"""Scenes to try the widget on."""

from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError
from sam2_jupyter import sample


def test_a_scene_is_a_volume_with_its_axes() -> None:
    assert sample().axes == "zyx"
    volume = sample("divisions")
    assert volume.axes == "tyx"
    assert volume.shape == (16, 224, 224)


def test_an_unknown_scene_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="filaments"):
        sample("zebra")

"""Windows of labelled frames, and how they are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_core import load_model, open_volume
from sam2_core.errors import InvalidInputError
from sam2_core.training.fine_tuning.labelled_frames import LabelledFrames
from sam2_core.training.fine_tuning.views import windows_of
from sam2_core.volumes import open_labels

TIMES, DEPTH = 2, 3


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model("sam2.1_hiera_micro", device="cpu", precision="fp32", image_size=64)


def labelled(along: str) -> LabelledFrames:
    """Every frame with an object; along "tz", z-stacks over time, or the same frames along one axis."""
    pixels = np.zeros((TIMES, DEPTH, 48, 80), np.uint8)
    pixels[..., 10:30, 20:50] = 1
    frames = pixels.reshape(-1, 48, 80)
    volume = open_volume(pixels, axes="tzyx") if along == "tz" else open_volume(frames, axes="tyx")
    return LabelledFrames(volume.stack(along), open_labels(frames.astype(np.uint16)), frozenset(range(len(frames))))


def test_windows_stay_at_one_time(model: Any) -> None:
    assert [one.frames for one in windows_of(model, [labelled("tz")], 2)] == [(0, 1), (1, 2), (3, 4), (4, 5)]
    assert [one.frames for one in windows_of(model, [labelled("tz")])] == [(frame,) for frame in range(6)]
    assert [one.frames for one in windows_of(model, [labelled("t")], 4)] == [(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)]
    with pytest.raises(InvalidInputError, match="no 4 labelled frames in a row"):
        windows_of(model, [labelled("tz")], 4)

"""What transforms do beyond the official ones; tests/training/test_data_parity.py compares those."""

from __future__ import annotations

import random

import torch
from PIL import Image

from sam2_core.training.batch import Frame, Object, VideoDatapoint
from sam2_core.training.transforms import RandomAffine, pad


def datapoint() -> VideoDatapoint:
    """Two frames: one object in the middle, one in a corner."""
    middle, corner = torch.zeros(40, 60, dtype=torch.uint8), torch.zeros(40, 60, dtype=torch.uint8)
    middle[15:25, 25:35] = 1
    corner[:4, :4] = 1
    frames = [
        Frame(Image.new("RGB", (60, 40)), [Object(7, t, middle.clone()), Object(9, t, corner.clone())])
        for t in range(2)
    ]
    return VideoDatapoint(frames, 0, (40, 60))


def identities(point: VideoDatapoint) -> list[list[int]]:
    return [[each.object_id for each in frame.objects] for frame in point.frames]


def test_an_object_that_leaves_is_left_out_or_the_transform_is() -> None:
    options = {"degrees": [90, 90], "consistent_transform": True, "log_warning": False}
    random.seed(0)
    torch.manual_seed(0)
    kept = RandomAffine(**options)(datapoint())
    assert identities(kept) == [[7, 9], [7, 9]]
    assert torch.equal(kept.frames[1].objects[0].segment, datapoint().frames[1].objects[0].segment)  # type: ignore[arg-type]
    turned = RandomAffine(**options, drop_objects=True)(datapoint())
    assert identities(turned) == [[7], [7]]
    assert int(turned.frames[0].objects[0].segment.sum()) == 100  # type: ignore[union-attr]
    # all of them are never left out
    point = datapoint()
    for frame in point.frames:
        del frame.objects[0]
    assert identities(RandomAffine(**options, drop_objects=True)(point)) == [[9], [9]]


def test_padding() -> None:
    point = pad(datapoint(), 0, (5, 3))
    assert point.frames[0].size == (43, 65)
    assert point.frames[0].data.size == (65, 43)
    assert point.frames[0].objects[0].segment.shape == (43, 65)  # type: ignore[union-attr]
    point = pad(point, 1, (1, 2, 3, 4))
    assert point.frames[1].size == (46, 64)
    assert bool(point.frames[1].objects[1].segment[2, 1])  # type: ignore[index]

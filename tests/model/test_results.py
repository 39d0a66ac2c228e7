"""Results can be selected, repeated, moved and cut off."""

from __future__ import annotations

import torch

from sam2_core.model import ImageFeatures, PointPrompts
from tests.model.small_models import noise


def features(batch: int = 3) -> ImageFeatures:
    """Two levels."""
    maps = (noise(batch, 2, 8, 12), noise(batch, 4, 4, 6))
    return ImageFeatures(maps, tuple(torch.ones_like(m) for m in maps))


def test_selection_keeps_the_batch_axis() -> None:
    given = features()

    assert given.batch_size == 3
    assert given.grid == (4, 6)
    for index in (0, 2, -1, -3):
        chosen = given.select(index)
        assert chosen.batch_size == 1
        assert torch.equal(chosen.maps[0][0], given.maps[0][index])
    assert given.select(slice(1, None)).batch_size == 2


def test_expansion_copies_nothing() -> None:
    given = features(1)
    expanded = given.expand(5)

    assert expanded.batch_size == 5
    assert expanded.maps[0].data_ptr() == given.maps[0].data_ptr()


def test_cast_and_detach() -> None:
    given = ImageFeatures(tuple(m.requires_grad_() for m in features().maps), features().positions)

    assert given.to(torch.bfloat16).positions[1].dtype == torch.bfloat16
    assert given.to("cpu").maps[0].requires_grad
    assert not given.detach().maps[0].requires_grad


def test_number_of_points() -> None:
    assert len(PointPrompts(torch.zeros(2, 5, 2), torch.zeros(2, 5))) == 5

"""The order in which the decoder enlarges pixels, against an index computed pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from sam2_core.errors import InvalidInputError
from sam2_core.model.fine_features import FineFeatures


def test_sub_pixels_lie_with_their_pixel() -> None:
    height, width = 3, 5
    stride8 = torch.randn(2, 4, 2 * height, 2 * width)
    stride4 = torch.randn(2, 2, 4 * height, 4 * width)

    nested = FineFeatures.nest([stride4, stride8])

    assert nested.stride8.shape == (2, height * width * 4, 4)
    assert nested.stride4.shape == (2, height * width * 16, 2)
    for y in range(4 * height):
        for x in range(4 * width):
            coarse = (y // 4) * width + x // 4
            half = coarse * 4 + (y // 2 % 2) * 2 + x // 2 % 2
            assert torch.equal(nested.stride8[:, half], stride8[:, :, y // 2, x // 2])
            assert torch.equal(nested.stride4[:, half * 4 + (y % 2) * 2 + x % 2], stride4[:, :, y, x])


def test_maps_as_the_encoder_lays_them_out_are_read_as_they_look() -> None:
    maps = [torch.randn(1, 2, 8, 12), torch.randn(1, 4, 4, 6)]
    expected = FineFeatures.nest(maps)

    found = FineFeatures.nest([level.contiguous(memory_format=torch.channels_last) for level in maps])

    assert torch.equal(found.stride4, expected.stride4)
    assert torch.equal(found.stride8, expected.stride8)


@pytest.mark.parametrize("sizes", [[(8, 8)], [(4, 4), (8, 8)], [(8, 8), (4, 4), (2, 2)], [(8, 12), (4, 4)]])
def test_other_maps_are_refused(sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidInputError, match="stride"):
        FineFeatures.nest([torch.zeros(1, 2, *size) for size in sizes])

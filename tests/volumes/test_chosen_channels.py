"""Some channels of a volume, as numpy chooses them."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.array_volume import ArrayVolume
from sam2_core.volumes.chosen_channels import ChosenChannels

PIXELS = np.random.default_rng(0).integers(0, 99, (2, 4, 3, 5)).astype(np.uint16)


@pytest.mark.parametrize("channels", [[2], [3, 0], [1, 1, 2]])
def test_regions_hold_the_channels_in_the_order_given(channels: list[int]) -> None:
    chosen = ChosenChannels(ArrayVolume(PIXELS, axes="tcyx"), channels)
    region = (slice(1, 2), slice(0, len(channels)), slice(1, 3), slice(2, 4))

    assert dict(chosen.sizes) == {"t": 2, "c": len(channels), "y": 3, "x": 5}
    assert np.array_equal(chosen.read_region(region), PIXELS[:, channels][region])


def test_channels_that_are_not_there() -> None:
    with pytest.raises(InvalidInputError, match="4"):
        ChosenChannels(ArrayVolume(PIXELS, axes="tcyx"), [4])

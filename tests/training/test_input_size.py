"""Changing the input size in place."""

from __future__ import annotations

import pytest
import torch

from sam2_core.errors import InvalidInputError
from sam2_core.training.input_size import set_input_size
from tests.training.micro_model import small_model


def test_codes_depend_on_the_distance_in_pixels_from_the_middle() -> None:
    model = small_model(64)
    encoder = model.sam_prompt_encoder
    layer = encoder.pe_layer
    points = torch.tensor([[[3.0, -7.0], [11.0, 20.0]]])
    before = layer.forward_with_coords(points + 32, (64, 64))
    dense = encoder.get_dense_pe()
    set_input_size(model, 128)
    torch.testing.assert_close(layer.forward_with_coords(points + 64, (128, 128)), before, rtol=0, atol=1e-4)
    torch.testing.assert_close(encoder.get_dense_pe()[..., 2:6, 2:6], dense, rtol=0, atol=1e-4)
    assert model.input_size == (128, 128)
    assert encoder.mask_input_size == (32, 32)
    features = model.forward_image(torch.zeros(1, 3, 128, 128))
    assert features.grid == encoder.image_embedding_size


@pytest.mark.parametrize("size", [0, 100, -32])
def test_bad_sizes_are_refused(size: int) -> None:
    with pytest.raises(InvalidInputError, match="32"):
        set_input_size(small_model(64), size)

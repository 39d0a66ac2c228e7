"""The memory encoder and its parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sam2_core.errors import ConfigError
from sam2_core.model import CXBlock, Fuser, MaskDownSampler, MemoryEncoder, PositionEmbeddingSine
from tests.model.small_models import MEMORY_WIDTH, WIDTH, alive, noise, small_memory_encoder


def test_shapes_of_a_rectangular_frame() -> None:
    encoded = alive(small_memory_encoder())(noise(2, WIDTH, 4, 6), noise(2, 1, 64, 96))

    assert encoded.features.shape == encoded.position.shape == (2, MEMORY_WIDTH, 4, 6)


def test_logits_become_probabilities_unless_they_are() -> None:
    module = alive(small_memory_encoder())
    features, logits = noise(1, WIDTH, 4, 4), noise(1, 1, 64, 64)

    assert torch.equal(
        module(features, logits).features, module(features, logits.sigmoid(), skip_mask_sigmoid=True).features
    )


def test_mask_and_features_both_matter() -> None:
    module = alive(small_memory_encoder())
    features, logits = noise(1, WIDTH, 4, 4), noise(1, 1, 64, 64)
    encoded = module(features, logits).features

    assert (encoded - module(features, -logits).features).abs().mean() > 0.05
    assert (encoded - module(-features, logits).features).abs().mean() > 0.05


def test_one_image_for_several_objects() -> None:
    module = alive(small_memory_encoder())
    features, logits = noise(1, WIDTH, 4, 4), noise(3, 1, 64, 64)

    torch.testing.assert_close(
        module(features, logits).features, module(features.expand(3, -1, -1, -1), logits).features
    )


def test_memory_as_wide_as_features_needs_no_projection() -> None:
    assert isinstance(small_memory_encoder(WIDTH).out_proj, nn.Identity)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "total"), [(4, 4, 0, 16), (3, 2, 1, 16), (2, 2, 0, 8), (8, 8, 0, 8)]
)
def test_mask_downsampling_is_its_sequential(kernel: int, stride: int, padding: int, total: int) -> None:
    module = alive(MaskDownSampler(24, kernel, stride, padding, total))
    masks = noise(2, 1, 64, 32)

    assert module(masks).shape == (2, 24, 64 // total, 32 // total)
    torch.testing.assert_close(module(masks), module.encoder(masks))
    assert [layer.out_channels for layer in module.encoder if isinstance(layer, nn.Conv2d)][-1] == 24


def test_total_stride_must_be_a_power() -> None:
    with pytest.raises(ConfigError, match="no power"):
        MaskDownSampler(stride=4, total_stride=8)


@pytest.mark.parametrize(("depthwise", "scale"), [(True, 1e-6), (False, 1e-6), (True, 0.0)])
def test_block_in_the_other_equivalent_form(depthwise: bool, scale: float) -> None:
    """1x1 convolutions in place of linear layers, as the ConvNeXt paper has it."""
    block = alive(CXBlock(8, use_dwconv=depthwise, layer_scale_init_value=scale))
    x = noise(2, 8, 5, 6)

    y = block.norm(block.dwconv(x))
    y = nn.functional.conv2d(y, block.pwconv1.weight[..., None, None], block.pwconv1.bias)
    y = nn.functional.conv2d(nn.functional.gelu(y), block.pwconv2.weight[..., None, None], block.pwconv2.bias)
    expected = x + (y if block.gamma is None else y * block.gamma.view(1, -1, 1, 1))

    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)
    assert block.dwconv.groups == (8 if depthwise else 1)
    assert (block.gamma is None) == (scale == 0.0)


def test_block_drops_whole_samples_in_training() -> None:
    block = alive(CXBlock(8, drop_path=0.5)).train()
    x = noise(40, 8, 3, 3)

    unchanged = (block(x) - x).flatten(1).abs().amax(1) == 0

    assert 0 < unchanged.sum() < 40


def test_fuser_may_project_first() -> None:
    fuser = alive(Fuser(CXBlock(8), 2, dim=8, input_projection=True))
    x = noise(1, 8, 4, 4)

    torch.testing.assert_close(fuser(x), fuser.layers[1](fuser.layers[0](fuser.proj(x))))
    with pytest.raises(ConfigError, match="dim"):
        Fuser(CXBlock(8), 2, input_projection=True)


def test_every_weight_gets_a_gradient() -> None:
    module = alive(MemoryEncoder(8, MaskDownSampler(16, 3, 2, 1), Fuser(CXBlock(16), 2), PositionEmbeddingSine(8), 16))

    module(noise(1, 16, 4, 4), noise(1, 1, 64, 64)).features.square().mean().backward()

    assert [name for name, weight in module.named_parameters() if weight.grad is None or not weight.grad.any()] == []

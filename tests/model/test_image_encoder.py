"""The feature pyramid, its options, and the product of two 1x1 convolutions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.model import FpnNeck, ImageEncoder, PositionEmbeddingSine
from sam2_core.model.image_encoder import check_input_size
from tests.model.small_models import WIDTH, alive, noise, small_encoder, small_hiera

CHANNELS = [32, 16, 8]


def levels() -> list[Tensor]:
    """Three trunk levels, finest first."""
    return [noise(2, 8, 8, 12), noise(2, 16, 4, 6, seed=1), noise(2, 32, 2, 3, seed=2)]


def neck(**options: object) -> FpnNeck:
    """A neck over `levels`."""
    return alive(FpnNeck(PositionEmbeddingSine(WIDTH), WIDTH, CHANNELS, **options))  # type: ignore[arg-type, no-any-return]


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("fuse", ["sum", "avg"])
@pytest.mark.parametrize("receivers", [None, [1], [0, 1], []])
def test_pyramid_adds_coarse_to_fine(mode: str, fuse: str, receivers: list[int] | None) -> None:
    module = neck(fpn_interp_model=mode, fuse_type=fuse, fpn_top_down_levels=receivers)
    inputs = levels()

    features, positions = module(inputs)

    receivers = [0, 1, 2] if receivers is None else receivers
    above = None
    for level in (2, 1, 0):
        expected = module.convs[2 - level](inputs[level])
        if above is not None and level in receivers:
            align = None if mode == "nearest" else False
            expected = expected + F.interpolate(above, scale_factor=2.0, mode=mode, align_corners=align)
            expected = expected / 2 if fuse == "avg" else expected
        torch.testing.assert_close(features[level], expected, atol=1e-5, rtol=1e-5)
        assert positions[level].shape == expected.shape
        above = expected


@pytest.mark.parametrize("receivers", [None, [1, 2], []])
def test_projections_are_the_convolutions_that_follow(receivers: list[int] | None) -> None:
    module = neck(fpn_top_down_levels=receivers)
    projections = {level: alive(nn.Conv2d(WIDTH, 6 + level, 1)) for level in (0, 1)}
    plain, _ = module(levels())

    projected, _ = module(levels(), projections)

    for level in (0, 1):
        torch.testing.assert_close(projected[level], projections[level](plain[level]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(projected[2], plain[2])


def test_wide_lateral_convolutions() -> None:
    module = neck(kernel_size=3, padding=1)
    projection = alive(nn.Conv2d(WIDTH, 4, 1))
    plain, positions = module(levels())

    projected, _ = module(levels(), {0: projection})

    torch.testing.assert_close(projected[0], projection(plain[0]), atol=1e-5, rtol=1e-4)
    assert positions[0].shape[-2:] == plain[0].shape[-2:]


def test_coarsest_levels_are_left_out() -> None:
    encoder = alive(small_encoder())
    features = encoder(noise(2, 3, 64, 96))

    assert [tuple(m.shape) for m in features.maps] == [(2, WIDTH, 16, 24), (2, WIDTH, 8, 12), (2, WIDTH, 4, 6)]
    assert [p.shape for p in features.positions] == [m.shape for m in features.maps]


def test_gradients_reach_both_factors_of_a_product() -> None:
    module, projection = neck(fpn_top_down_levels=[1, 2]), alive(nn.Conv2d(WIDTH, 4, 1))

    module(levels(), {0: projection})[0][0].square().mean().backward()

    assert projection.weight.grad is not None
    assert projection.weight.grad.any()
    assert module.convs[2].conv.weight.grad.any()


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="fuse_type"):
        FpnNeck(PositionEmbeddingSine(8), 8, [8], fuse_type="product")
    with pytest.raises(ConfigError, match="backbone_channel_list"):
        ImageEncoder(small_hiera(), neck())


@pytest.mark.parametrize(
    "shape", [(1, 3, 33, 32), (1, 3, 32, 48), (1, 1, 32, 32), (3, 32, 32), (0, 3, 32, 32), (1, 3, 0, 32)]
)
def test_images_of_other_sizes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="32"):
        check_input_size(torch.zeros(shape))

"""What each transform does to pictures and masks."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.training.batch import Frame, Object, VideoDatapoint
from sam2_core.training.microscopy_transforms import (
    Anisotropy,
    Blur,
    Elastic,
    Gamma,
    MicroscopyTransform,
    Noise,
    SliceDropout,
)


def datapoint(frames: int = 4) -> VideoDatapoint:
    """A bright square on a grey ground, and its mask."""
    mask = torch.zeros(48, 64, dtype=torch.uint8)
    mask[16:32, 20:44] = 1
    pixels = (0.2 + 0.5 * mask).expand(3, -1, -1)
    return VideoDatapoint(
        [Frame(pixels - 0.01 * t, [Object(1, t, mask.clone()), Object(2, t, None)]) for t in range(frames)], 0, (48, 64)
    )


def changed(transform: MicroscopyTransform, seed: int = 0) -> VideoDatapoint:
    random.seed(seed)
    torch.manual_seed(seed)
    return transform(datapoint())


ALL = [Noise(p=1), Blur(p=1), Gamma(p=1), Anisotropy(p=1), Elastic(p=1), SliceDropout(share=1, p=1)]


@pytest.mark.parametrize("transform", ALL, ids=lambda each: type(each).__name__)
def test_pictures_stay_pictures_and_the_same_seed_gives_the_same(transform: MicroscopyTransform) -> None:
    one, other = changed(transform), changed(transform)
    for frame, again, before in zip(one.frames, other.frames, datapoint().frames, strict=True):
        assert torch.equal(frame.data, again.data)
        assert frame.data.shape == before.data.shape
        assert frame.data.dtype == torch.float32
        assert bool(torch.isfinite(frame.data).all())
        assert -0.01 <= float(frame.data.min()) <= float(frame.data.max()) <= 1.01
        assert frame.objects[0].segment.dtype == torch.uint8  # type: ignore[union-attr]
        assert frame.objects[1].segment is None
    assert not torch.allclose(one.frames[1].data, datapoint().frames[1].data)
    never = copy.copy(transform)
    never.p = 0.0
    assert torch.equal(changed(never).frames[1].data, datapoint().frames[1].data)


def test_noise_is_grey_where_the_picture_is_and_weaker_with_more_photons() -> None:
    few, many = (changed(Noise((n, n), (0.0, 0.0), p=1)).frames[0].data for n in (20.0, 2000.0))
    assert torch.equal(few[0], few[2])
    ground = (slice(None), slice(0, 14))
    # photons are Poisson: the deviation of a mean m of n photons is sqrt(m / n)
    assert float(few[ground].std()) == pytest.approx((0.2 / 20) ** 0.5, rel=0.15)
    assert float(many[ground].std()) == pytest.approx((0.2 / 2000) ** 0.5, rel=0.15)


def test_pictures_and_masks_bend_together() -> None:
    for seed in range(4):
        for frame in changed(Elastic(0.1, p=1), seed).frames:
            mask = frame.objects[0].segment
            assert mask is not None
            assert 100 < int(mask.sum()) < 1000
            agree = ((frame.data[0] > 0.45) == mask.bool()).float().mean()
            assert float(agree) > 0.98


def test_anisotropy_blurs_one_axis() -> None:
    directions = set()
    for seed in range(6):
        pixels = changed(Anisotropy((4.0, 4.0), p=1), seed).frames[0].data[0]
        along_y, along_x = pixels.diff(dim=0).abs().max(), pixels.diff(dim=1).abs().max()
        assert max(along_y, along_x) > 0.45
        assert min(along_y, along_x) < 0.3
        directions.add(bool(along_y > along_x))
    assert directions == {True, False}


def test_slices_drop_out_but_not_the_first() -> None:
    kinds = set()
    for seed in range(8):
        frames = changed(SliceDropout(share=1, p=1), seed).frames
        assert torch.equal(frames[0].data, datapoint().frames[0].data)
        kinds |= {bool(frame.data.any()) for frame in frames[1:]}
        assert all(int(frame.objects[0].segment.sum()) == 384 for frame in frames)  # type: ignore[union-attr]
    assert kinds == {True, False}


def test_gamma_keeps_black_and_white_or_changes_places() -> None:
    point = datapoint()
    point.frames[0].data[0, 0], point.frames[0].data[0, 1] = 0.0, 1.0
    random.seed(0)
    pixels = Gamma((0.5, 0.5), p=1)(point).frames[0].data
    assert float(pixels[0, 0].max()) == 0
    assert float(pixels[0, 1].min()) == 1
    assert float(pixels[0, -1, -1]) == pytest.approx(0.2**0.5)
    inverted = changed(Gamma((1.0, 1.0), invert=1.0, p=1)).frames[0].data
    torch.testing.assert_close(inverted, 1 - datapoint().frames[0].data)


def test_pictures_that_are_no_tensors_yet_are_refused() -> None:
    point = datapoint()
    point.frames[0].data = F.to_pil_image(point.frames[0].data)
    with pytest.raises(InvalidTypeError, match="after ToTensorAPI"):
        Blur(p=1)(point)
    with pytest.raises(InvalidInputError, match="probability"):
        Blur(p=1.5)

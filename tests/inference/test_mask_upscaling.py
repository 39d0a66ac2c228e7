from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sam2_core.errors import InvalidInputError
from sam2_core.inference import mask_upscaling
from sam2_core.inference.crops import batched_mask_to_box
from sam2_core.inference.mask_upscaling import MaskUpscaler
from sam2_core.inference.run_length import mask_from_counts
from sam2_core.inference.stability import calculate_stability_score

LOW = 32


def logits_of(kind: str, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind == "noise":
        return 3 * torch.randn(4, LOW, LOW, generator=generator)
    if kind == "empty":
        return torch.full((4, LOW, LOW), -5.0)
    if kind == "full":
        return torch.full((4, LOW, LOW), 5.0)
    coarse = 4 * torch.randn(1, 4, 5, 5, generator=generator) - 3
    return F.interpolate(coarse, (LOW, LOW), mode="bicubic")[0]


@pytest.mark.parametrize("kind", ["noise", "smooth", "empty", "full"])
@pytest.mark.parametrize("strip_pixels", [100, 1 << 18])
@pytest.mark.parametrize(
    ("crop_box", "image_size"),
    [([0, 0, 90, 70], (70, 90)), ([3, 5, 40, 70], (70, 90)), ([0, 0, 20, 9], (9, 20)), ([7, 0, 8, 300], (300, 30))],
)
def test_a_mask_is_what_interpolation_of_the_whole_gives(
    kind: str,
    strip_pixels: int,
    crop_box: list[int],
    image_size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mask_upscaling, "STRIP_PIXELS", strip_pixels)
    logits = logits_of(kind, seed=len(kind) + crop_box[0])
    x0, y0, x1, y1 = crop_box
    upscaler = MaskUpscaler((LOW, LOW), crop_box, image_size, threshold=0.3, offset=1.0)
    full = F.interpolate(logits[None], (y1 - y0, x1 - x0), mode="bilinear", align_corners=False)[0]
    stability = calculate_stability_score(full, 0.3, 1.0)

    assert (upscaler.stability_bounds(logits) >= stability - 1e-9).all()
    bounds = zip(*upscaler.box_bounds(logits), strict=True)
    for one, whole, expected, (inner, outer) in zip(logits, full, stability, bounds, strict=True):
        mask = upscaler.upscale(one)
        drawn = mask_from_counts(mask.counts, image_size)
        inside = drawn[y0:y1, x0:x1]
        differs = inside != (whole > 0.3).numpy()

        assert drawn.sum() == inside.sum()
        assert (whole[torch.from_numpy(differs)] - 0.3).abs().lt(1e-4).all()
        assert mask.box == batched_mask_to_box(torch.from_numpy(inside.copy())).tolist()
        if inner[0] >= 0:
            assert (outer[:2] <= mask.box[:2]).all()
            assert (mask.box[:2] <= inner[:2]).all()
            assert (inner[2:] <= mask.box[2:]).all()
            assert (mask.box[2:] <= outer[2:]).all()
        assert mask.stability == pytest.approx(float(expected), abs=2e-3)


def test_the_bound_tells_large_unstable_masks() -> None:
    """Large masks are the expensive ones, and there the bound is tight."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 256), torch.linspace(-1, 1, 256), indexing="ij")
    slope = torch.stack([4 * (0.5 - (x**2 + y**2).sqrt()), 80 * (0.5 - (x**2 + y**2).sqrt())])
    upscaler = MaskUpscaler((256, 256), [0, 0, 600, 400], (400, 600))

    shallow, steep = upscaler.stability_bounds(slope).tolist()

    assert shallow < 0.3
    assert steep > 0.9


def test_the_bounds_of_a_box_are_a_logit_apart() -> None:
    logits = torch.full((1, 32, 32), -4.0)
    logits[0, 8:20, 5:30] = 4.0
    upscaler = MaskUpscaler((32, 32), [0, 0, 320, 640], (640, 320))

    (inner,), (outer,) = upscaler.box_bounds(logits)

    x0, y0, x1, y1 = upscaler.upscale(logits[0]).box
    assert inner.tolist() == [55, 170, 294, 389]
    assert outer.tolist() == [45, 150, 304, 409]
    assert (45 < x0 < 55, 150 < y0 < 170, 294 < x1 < 304, 389 < y1 < 409) == (True,) * 4


def test_a_mask_without_certain_pixels_has_no_bounds() -> None:
    logits = torch.full((1, 8, 8), -4.0)
    logits[0, 3, 3] = 4.0

    inner, _ = MaskUpscaler((8, 8), [0, 0, 80, 80], (80, 80)).box_bounds(logits)

    assert inner.tolist() == [[-1, -1, -1, -1]]


def test_a_window_holds_only_what_is_needed() -> None:
    logits = torch.full((64, 64), -4.0)
    logits[10:14, 40:50] = 4.0
    window = MaskUpscaler((64, 64), [0, 0, 640, 640], (640, 640)).cut(logits)

    assert window.logits.shape <= (8, 14)
    logits.fill_(9.0)
    assert window.logits.min() == -4.0  # a copy


def test_a_negative_offset_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="offset"):
        MaskUpscaler((8, 8), [0, 0, 9, 9], (9, 9), offset=-1)


def test_the_stability_of_nothing_is_zero() -> None:
    assert calculate_stability_score(torch.full((2, 4, 4), -9.0), 0.0, 1.0).tolist() == [0, 0]
    assert calculate_stability_score(torch.tensor([[[2.0, 0.5, -0.5, -2.0]]]), 0.0, 1.0).tolist() == [
        pytest.approx(1 / 3)
    ]


def test_a_width_beyond_int16_is_counted() -> None:
    """The official helper sums rows in 16 bits."""
    wide = torch.full((1, 1, 40000), 5.0)

    assert calculate_stability_score(wide, 0.0, 1.0).tolist() == [1.0]

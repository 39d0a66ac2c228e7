"""Choosing among candidates, against scaling up all of them and torchvision's non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import nms

from sam2_core.inference import mask_selection
from sam2_core.inference.candidate_decoder import Candidates
from sam2_core.inference.crops import is_box_near_crop_edge
from sam2_core.inference.mask_selection import MaskSelection
from sam2_core.inference.mask_upscaling import MaskUpscaler, MaskWindow, UpscaledMask

LOW = 32
SIZE = (150, 200)


def candidates(count: int, seed: int) -> Candidates:
    """Blobs, many of them nearly the same, with predicted IoUs of which some are equal."""
    random = np.random.default_rng(seed)
    y, x = torch.meshgrid(torch.arange(LOW), torch.arange(LOW), indexing="ij")
    logits = []
    for _ in range(count):
        centre = random.integers(1, 4, 2) * 9 + random.normal(0, 1, 2)
        radius, steepness = random.uniform(2, 9), random.choice([0.4, 3.0])
        distance = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2).sqrt()
        logits.append(steepness * (radius - distance) + torch.from_numpy(random.normal(0, 0.3, (LOW, LOW))))
    ious = torch.from_numpy(random.integers(1, 12, count) / 12).float()
    stacked = torch.stack(logits).float() if logits else torch.zeros(0, LOW, LOW)
    index = torch.arange(count)
    return Candidates(stacked, ious, index / 2 - 3, index // 3)


def points_of(some: Candidates) -> torch.Tensor:
    """The prompt of each three candidates."""
    return torch.arange(2.0 * (len(some.logits) // 3 + 1)).view(-1, 2)


def by_definition(
    some: Candidates, upscaler: MaskUpscaler, crop: list[int], stability: float, overlap: float
) -> list[tuple[int, UpscaledMask]]:
    """All of them at full resolution, filtered, then suppressed."""
    masks = [upscaler.upscale(logits) for logits in some.logits]
    good = [
        index
        for index, mask in enumerate(masks)
        if mask.stability >= stability
        and not is_box_near_crop_edge(torch.tensor([mask.box]), crop, [0, 0, SIZE[1], SIZE[0]]).any()
    ]
    boxes = torch.tensor([masks[index].box for index in good]).view(-1, 4).float()
    return [(good[row], masks[good[row]]) for row in nms(boxes, some.predicted_ious[good], overlap).tolist()]


def selection(
    crop: list[int], stability: float, overlap: float, check: Callable[[], None] = lambda: None
) -> tuple[MaskUpscaler, MaskSelection]:
    upscaler = MaskUpscaler((LOW, LOW), crop, SIZE)
    return upscaler, MaskSelection(upscaler, crop, SIZE, least_stability=stability, most_overlap=overlap, check=check)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 30),
    seed=st.integers(0, 2**16),
    stability=st.sampled_from([0.0, 0.5, 0.8]),
    overlap=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    crop=st.sampled_from([[0, 0, 200, 150], [0, 0, 120, 90], [60, 40, 200, 150]]),
    waiting=st.sampled_from([0, 4000, 1 << 28]),
)
def test_the_choice_is_that_of_the_definition(
    count: int, seed: int, stability: float, overlap: float, crop: list[int], waiting: int
) -> None:
    some = candidates(count, seed)
    upscaler, chooser = selection(crop, stability, overlap)
    expected = by_definition(some, upscaler, crop, stability, overlap)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_selection, "MOST_WAITING_BYTES", waiting)
        half = count // 2
        for part in (slice(0, half), slice(half, None)):
            points = points_of(some)
            chooser.add(
                Candidates(
                    some.logits[part], some.predicted_ious[part], some.object_scores[part], some.prompt_index[part]
                ),
                points,
            )
        data = chooser.masks()

    assert len(data["rles"]) == len(expected)
    for row, (index, mask) in enumerate(expected):
        assert data["rles"][row]["size"] == list(SIZE)
        assert np.array_equal(data["rles"][row]["counts"], mask.counts)
        assert data["boxes"][row].tolist() == mask.box
        assert data["iou_preds"][row] == some.predicted_ious[index]
        assert data["object_scores"][row] == some.object_scores[index]
        assert data["stability_score"][row] == pytest.approx(mask.stability)
        assert torch.equal(data["points"][row], points_of(some)[index // 3])


def test_duplicates_are_not_scaled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.full((LOW, LOW), -5.0)
    logits[4:28, 4:28] = 5.0
    some = Candidates(logits.expand(50, -1, -1), torch.linspace(0.5, 0.9, 50), torch.zeros(50), torch.arange(50))
    drawn = []
    draw = MaskUpscaler.draw

    def counted(self: MaskUpscaler, window: MaskWindow) -> UpscaledMask:
        drawn.append(window)
        return draw(self, window)

    monkeypatch.setattr(MaskUpscaler, "draw", counted)
    _, chooser = selection([0, 0, 200, 150], 0.5, 0.7)
    chooser.add(some, torch.zeros(50, 2))

    data = chooser.masks()

    assert data["iou_preds"].tolist() == [pytest.approx(0.9)]
    assert len(drawn) == 1


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_selection, "MOST_WAITING_BYTES", 20_000)
    _, chooser = selection([0, 0, 200, 150], 0.0, 1.0)
    for seed in range(8):
        some = candidates(6, seed)
        chooser.add(some, points_of(some))
        waiting = sum(window.logits.nbytes for candidate in chooser._candidates if (window := candidate.window))
        assert waiting <= 20_000
    assert len(chooser.masks()["rles"]) == 48


def test_the_caller_may_stop_between_masks() -> None:
    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    _, chooser = selection([0, 0, 200, 150], 0.0, 1.0, check=stop)
    some = candidates(3, 0)
    chooser.add(some, points_of(some))

    with pytest.raises(StopError):
        chooser.masks()


def test_nothing_gives_an_empty_table() -> None:
    data = selection([0, 0, 200, 150], 0.5, 0.7)[1].masks()

    assert data["rles"] == []
    assert {name: tuple(column.shape) for name, column in data.items() if name != "rles"} == {
        "boxes": (0, 4),
        "iou_preds": (0,),
        "object_scores": (0,),
        "points": (0, 2),
        "stability_score": (0,),
    }


def test_interpolation_is_torchs() -> None:
    """The windows cut out give the same pixels as the whole."""
    some = candidates(5, 3)
    upscaler = MaskUpscaler((LOW, LOW), [0, 0, 200, 150], SIZE)
    full = F.interpolate(some.logits[None], SIZE, mode="bilinear", align_corners=False)[0]
    for logits, whole in zip(some.logits, full, strict=True):
        area = int(upscaler.upscale(logits).counts[1::2].sum())
        assert abs(area - int((whole > 0).sum())) <= 2

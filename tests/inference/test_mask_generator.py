from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_masks
from scipy import ndimage
from torchvision.ops import nms

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference import mask_generator
from sam2_core.inference.crops import batched_mask_to_box
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.mask_generator import GenerationCancelledError, SAM2AutomaticMaskGenerator
from sam2_core.inference.point_grids import build_point_grid
from sam2_core.inference.run_length import mask_to_rle_pytorch, rle_to_mask
from sam2_core.inference.stability import calculate_stability_score
from tests.inference.image_scene import HEIGHT, WIDTH, picture, shared_model, small_model

SIDE = 4
# High up, so that masks are small and several are distinct.
THRESHOLD = 8.0
OFFICIAL_KEYS = {"segmentation", "area", "bbox", "predicted_iou", "point_coords", "stability_score", "crop_box"}


def generator(**options: Any) -> SAM2AutomaticMaskGenerator:
    defaults: dict[str, Any] = {
        "points_per_side": SIDE,
        "pred_iou_thresh": 0.0,
        "stability_score_thresh": 0.3,
        "mask_threshold": THRESHOLD,
        "box_nms_thresh": 0.95,
    }
    return SAM2AutomaticMaskGenerator(shared_model(), **(defaults | options))


def by_definition(least_iou: float, least_stability: float, most_overlap: float) -> list[dict[str, Any]]:
    """Everything at full resolution at once, by the predictor."""
    predictor = SAM2ImagePredictor(shared_model())
    predictor.set_image(picture())
    points = build_point_grid(SIDE) * [WIDTH, HEIGHT]
    _, ious, _ = predictor.predict(points[:, None], np.ones((len(points), 1)), return_logits=True)
    coords = predictor._prep_prompts(points[:, None], np.ones((len(points), 1)), None, None, True)[1]
    logits, _, _ = predictor._predict(coords, torch.ones(len(points), 1, dtype=torch.int32), return_logits=True)
    scores = torch.from_numpy(ious).flatten()
    flat = logits.flatten(0, 1)
    presence = predictor.segment(points[:, None], np.ones((len(points), 1))).object_score
    stability = calculate_stability_score(flat, THRESHOLD, 1.0)
    keep = ((scores > least_iou) & (stability >= least_stability)).nonzero()[:, 0]
    boxes = batched_mask_to_box(flat > THRESHOLD)
    keep = keep[nms(boxes[keep].float(), scores[keep], most_overlap)]
    return [
        {
            "mask": (flat[i] > THRESHOLD).numpy(),
            "iou": float(scores[i]),
            "present": float(presence[i // 3]),
            "stability": float(stability[i]),
            "point": points[i // 3],
        }
        for i in keep.tolist()
    ]


def iou_quantile(share: float) -> float:
    predictor = SAM2ImagePredictor(shared_model())
    predictor.set_image(picture())
    points = build_point_grid(SIDE) * [WIDTH, HEIGHT]
    return float(np.quantile(predictor.predict(points[:, None], np.ones((len(points), 1)))[1], share))


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_the_masks_are_those_of_the_definition(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_generator, "CPU_POINTS_PER_BATCH", batch)
    least = max(iou_quantile(0.4), 1e-3)
    expected = by_definition(least, 0.3, 0.95)

    records = generator(pred_iou_thresh=least).generate(picture())

    assert len(expected) > 2
    assert len(records) == len(expected)
    for record, one in zip(records, expected, strict=True):
        assert set(record) == OFFICIAL_KEYS | {"object_score"}
        assert (record["segmentation"] != one["mask"]).mean() < 1e-3
        assert record["area"] == record["segmentation"].sum()
        assert record["predicted_iou"] == pytest.approx(one["iou"], abs=1e-3)
        assert 1 / (1 + np.exp(-record["object_score"])) == pytest.approx(one["present"], abs=1e-3)
        assert record["stability_score"] == pytest.approx(one["stability"], abs=1e-2)
        assert record["point_coords"] == [pytest.approx(one["point"].tolist())]
        assert record["crop_box"] == [0, 0, WIDTH, HEIGHT]
        x0, y0, x1, y1 = batched_mask_to_box(torch.from_numpy(record["segmentation"].copy())).tolist()
        assert record["bbox"] == [x0, y0, x1 - x0, y1 - y0]


def test_the_three_output_modes_hold_the_same_masks() -> None:
    binary = generator().generate(picture())
    plain = generator(output_mode="uncompressed_rle").generate(picture())
    coco = generator(output_mode="coco_rle").generate(picture())

    assert len(binary) == len(plain) == len(coco) > 0
    for one, other, third in zip(binary, plain, coco, strict=True):
        assert one["segmentation"].dtype == np.bool_
        assert np.array_equal(rle_to_mask(other["segmentation"]), one["segmentation"])
        assert np.array_equal(coco_masks.decode(third["segmentation"]).astype(bool), one["segmentation"])
    json.dumps(plain)
    json.dumps(coco)


def test_crops_find_more_and_lie_where_they_belong() -> None:
    height, width = 240, 330
    image = picture(height, width)
    options = {"stability_score_thresh": 0.1, "points_per_side": 3}
    whole = generator(**options).generate(image)
    cropped = generator(crop_n_layers=1, crop_nms_thresh=1.0, **options).generate(image)

    boxes = {tuple(record["crop_box"]) for record in cropped}
    assert len(cropped) > len(whole)
    assert len(boxes) > 1
    for record in cropped:
        x, y, crop_width, crop_height = (int(side) for side in record["crop_box"])
        outside = record["segmentation"].copy()
        outside[y : y + crop_height, x : x + crop_width] = False
        assert record["segmentation"].shape == (height, width)
        assert not outside.any()
        (px, py), *_ = record["point_coords"]
        assert x <= px <= x + crop_width
        assert y <= py <= y + crop_height


def test_one_mask_for_a_point_and_refinement() -> None:
    single = generator(multimask_output=False, box_nms_thresh=1.0, stability_score_thresh=0.0, pred_iou_thresh=0.0)
    refined = generator(use_m2m=True, box_nms_thresh=1.0, stability_score_thresh=0.0, pred_iou_thresh=0.0)

    assert len(single.generate(picture())) == SIDE**2
    assert len(refined.generate(picture())) == 3 * SIDE**2


def test_refinement_prompts_with_each_candidate() -> None:
    point = np.array([[0.4, 0.6]]) * [WIDTH, HEIGHT], np.array([1])
    predictor = SAM2ImagePredictor(shared_model())
    predictor.set_image(picture())
    _, _, low_res = predictor.predict(*point)
    prompts = [{"mask_input": one[None], "multimask_output": False} for one in low_res]
    expected = [
        (
            *predictor.predict(*point, **prompt, return_logits=True),
            float(predictor.segment(*point, **prompt).object_score),
        )
        for prompt in prompts
    ]

    records = generator(
        use_m2m=True,
        points_per_side=None,
        point_grids=[np.array([[0.4, 0.6]])],
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        box_nms_thresh=1.0,
    ).generate(picture())

    found = sorted(records, key=lambda record: -record["predicted_iou"])
    wanted = sorted(expected, key=lambda result: -float(result[1][0]))
    assert len(found) == 3
    for record, (mask, iou, _, present) in zip(found, wanted, strict=True):
        assert 1 / (1 + np.exp(-record["object_score"])) == pytest.approx(present, abs=1e-3)
        assert record["predicted_iou"] == pytest.approx(float(iou[0]), abs=1e-3)
        assert (record["segmentation"] != (mask[0] > THRESHOLD)).mean() < 1e-3


def test_small_regions_are_measured_in_image_pixels() -> None:
    records = generator(min_mask_region_area=60, box_nms_thresh=1.0).generate(picture())

    touching = np.ones((3, 3))
    assert records
    for record in records:
        mask = record["segmentation"]
        islands, count = ndimage.label(mask, touching)
        holes, hole_count = ndimage.label(~mask, touching)
        assert count == 1 or np.bincount(islands.ravel())[1:].min() >= 60
        assert hole_count == 0 or np.bincount(holes.ravel())[1:].min() >= 60
        assert record["area"] == mask.sum()
        x0, y0, x1, y1 = batched_mask_to_box(torch.from_numpy(mask.copy())).tolist()
        assert record["bbox"] == [x0, y0, x1 - x0, y1 - y0]


def test_nothing_good_is_an_empty_list() -> None:
    assert generator(pred_iou_thresh=1e6).generate(picture()) == []
    assert generator(stability_score_thresh=1.1, crop_n_layers=1).generate(picture()) == []
    assert generator(pred_iou_thresh=1e6, min_mask_region_area=5).generate(picture()) == []


def test_progress_is_told_and_cancelling_stops() -> None:
    seen: list[tuple[int, int]] = []
    generator().generate(picture(), progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (SIDE**2, SIDE**2)
    assert seen == sorted(set(seen))
    answers = iter([False, False, True])
    with pytest.raises(GenerationCancelledError, match="cancelled after"):
        generator().generate(picture(), cancelled=lambda: next(answers))


def test_a_callers_autocast_changes_nothing() -> None:
    expected = generator(output_mode="uncompressed_rle").generate(picture())

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert generator(output_mode="uncompressed_rle").generate(picture()) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", [{}, {"use_m2m": True}, {"multimask_output": False}, {"crop_n_layers": 1}])
def test_half_precision_needs_no_autocast(dtype: torch.dtype, options: dict[str, Any]) -> None:
    half = SAM2AutomaticMaskGenerator(
        small_model().to(dtype), points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0, **options
    )

    records = half.generate(picture())

    assert records
    assert all(np.isfinite([record[key] for key in ("predicted_iou", "object_score")]).all() for record in records)


def test_masks_are_never_all_scaled_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor of the size of a batch of masks at full resolution exists."""
    height, width = 1500, 1100
    image = np.kron(picture(75, 55), np.ones((20, 20, 1), np.uint8))
    largest = 0

    class Watching(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel() * result.element_size())
            return result

    with Watching():
        records = generator(points_per_side=2, output_mode="uncompressed_rle").generate(image)

    assert records
    assert largest <= 4 * 3 * height * width  # the image itself as float32


@pytest.mark.parametrize(
    "options",
    [
        {"point_grids": [build_point_grid(2)]},
        {"points_per_side": None},
        {"points_per_side": 0},
        {"points_per_batch": 0},
        {"crop_n_layers": -1},
        {"output_mode": "polygons"},
        {"points_per_side": None, "point_grids": [build_point_grid(2)], "crop_n_layers": 1},
        {"points_per_side": None, "point_grids": [np.array([[0.5, 1.5]])]},
        {"points_per_side": None, "point_grids": [np.array([0.5, 0.5])]},
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        generator(**options)


def test_impossible_images_are_refused() -> None:
    with pytest.raises(InvalidTypeError, match="percentile"):
        generator().generate(np.zeros((5, 5), np.uint16))
    with pytest.raises(InvalidInputError, match="empty"):
        generator().generate(np.zeros((0, 5), np.uint8))


def test_small_regions_of_official_style_data_are_cleaned() -> None:
    """The helper is public and takes lists of counts too."""
    mask = torch.zeros(2, 20, 20, dtype=torch.bool)
    mask[0, 2:12, 2:12] = True
    mask[0, 5, 5] = False
    mask[0, 18, 18] = True
    mask[1, 2:12, 2:12] = True
    data = MaskData(rles=mask_to_rle_pytorch(mask), boxes=batched_mask_to_box(mask))
    cleaned = SAM2AutomaticMaskGenerator.postprocess_small_regions(data, 5, 0.7)

    assert len(cleaned["rles"]) == 1  # the same once cleaned: the untouched one stays
    assert np.array_equal(rle_to_mask(cleaned["rles"][0]), mask[1].numpy())


def test_shapes_differ_from_the_input_in_both_directions() -> None:
    for size in ((20, 300), (300, 20), (7, 5)):
        image = picture(*size)
        for record in generator(points_per_side=2).generate(image):
            assert record["segmentation"].shape == size


@pytest.mark.parametrize("options", [{}, {"crop_n_layers": 1, "crop_nms_thresh": 0.5}])
def test_choosing_among_candidates_is_generating_anew(options: dict[str, Any]) -> None:
    options = {"stability_score_thresh": 0.1, "box_nms_thresh": 0.6, **options}
    loose = generator(**options)
    candidates = loose.candidates(picture())
    count = len(candidates["rles"])
    ious, stabilities = (candidates[name].double().numpy() for name in ("iou_preds", "stability_score"))
    sizes = set()
    for share in (0.0, 0.3, 0.6, 0.9, 1.0):
        least = (max(0.0, float(np.quantile(ious, share)) - 1e-6), max(0.1, float(np.quantile(stabilities, share / 2))))
        expected = generator(**{**options, "pred_iou_thresh": least[0], "stability_score_thresh": least[1]}).generate(
            picture()
        )

        found = loose.choose(candidates, pred_iou_thresh=least[0], stability_score_thresh=least[1])

        sizes.add(len(found))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.pop("segmentation"), other.pop("segmentation"))
            assert one == other
    # the same candidates, whatever was chosen of them
    assert len(candidates["rles"]) == count > max(sizes) > min(sizes)
    with pytest.raises(InvalidInputError, match="lower thresholds"):
        loose.choose(candidates, stability_score_thresh=0.05)

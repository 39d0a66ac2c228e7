from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from tests.inference.image_scene import HEIGHT, INPUT_SIZE, WIDTH, picture, shared_model, small_model

POINTS = np.array([[30.0, 20.0], [80.0, 50.0]])
LABELS = np.array([1, 0])
BOX = np.array([20.0, 10.0, 70.0, 60.0])
GRID = INPUT_SIZE // 4


@pytest.fixture
def predictor() -> SAM2ImagePredictor:
    predictor = SAM2ImagePredictor(shared_model())
    predictor.set_image(picture())
    return predictor


def test_shapes_and_dtypes_are_the_official_ones(predictor: SAM2ImagePredictor) -> None:
    masks, ious, low_res = predictor.predict(POINTS, LABELS)

    assert (masks.shape, masks.dtype) == ((3, HEIGHT, WIDTH), np.float32)
    assert (ious.shape, ious.dtype) == ((3,), np.float32)
    assert (low_res.shape, low_res.dtype) == ((3, GRID, GRID), np.float32)
    assert set(np.unique(masks)) <= {0.0, 1.0}
    assert 0.01 < masks.mean() < 0.99
    assert np.abs(low_res).max() <= 32


def test_logits_are_what_masks_are_cut_from(predictor: SAM2ImagePredictor) -> None:
    masks, _, _ = predictor.predict(POINTS, LABELS)
    logits, _, _ = predictor.predict(POINTS, LABELS, return_logits=True)

    assert np.array_equal(logits > 0, masks == 1)


def test_one_mask_instead_of_three(predictor: SAM2ImagePredictor) -> None:
    masks, ious, low_res = predictor.predict(box=BOX, multimask_output=False)

    assert masks.shape == (1, HEIGHT, WIDTH)
    assert ious.shape == (1,)
    assert low_res.shape == (1, GRID, GRID)


def test_several_boxes_give_what_each_gives_alone(predictor: SAM2ImagePredictor) -> None:
    boxes = np.stack([BOX, BOX + 10, BOX - 5])
    together = predictor.predict(box=boxes, return_logits=True)

    assert together[0].shape == (3, 3, HEIGHT, WIDTH)
    for index, box in enumerate(boxes):
        for joint, alone in zip(together, predictor.predict(box=box, return_logits=True), strict=True):
            np.testing.assert_allclose(joint[index], alone, atol=2e-3)


def test_a_box_and_points_for_several_objects(predictor: SAM2ImagePredictor) -> None:
    points, labels, boxes = np.stack([POINTS, POINTS + 3]), np.stack([LABELS, LABELS]), np.stack([BOX, BOX + 3])
    together = predictor.predict(points, labels, boxes, return_logits=True)
    alone = predictor.predict(points[1], labels[1], boxes[1], return_logits=True)

    for joint, single in zip(together, alone, strict=True):
        np.testing.assert_allclose(joint[1], single, atol=2e-3)


def test_a_mask_prompt_changes_the_answer_and_may_come_alone(predictor: SAM2ImagePredictor) -> None:
    plain, ious, low_res = predictor.predict(POINTS, LABELS, return_logits=True)
    prompt = low_res[ious.argmax()][None]

    prompted, _, _ = predictor.predict(POINTS, LABELS, mask_input=prompt, return_logits=True)
    alone, _, _ = predictor.predict(mask_input=prompt)
    batch, _, _ = predictor.predict(mask_input=np.stack([prompt, prompt]))

    assert np.abs(prompted - plain).max() > 0.01
    assert alone.shape == (3, HEIGHT, WIDTH)
    assert batch.shape == (2, 3, HEIGHT, WIDTH)


def test_fractions_of_the_image_name_the_same_place(predictor: SAM2ImagePredictor) -> None:
    size = np.array([WIDTH, HEIGHT])
    by_pixels = predictor.predict(POINTS, LABELS, box=BOX, return_logits=True)
    by_fractions = predictor.predict(
        POINTS / size, LABELS, box=BOX / np.tile(size, 2), return_logits=True, normalize_coords=False
    )

    for one, other in zip(by_pixels, by_fractions, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_segment_gives_the_same_masks_and_every_score(predictor: SAM2ImagePredictor) -> None:
    masks, ious, low_res = predictor.predict(POINTS, LABELS)

    result = predictor.segment(POINTS, LABELS)

    assert result.masks.dtype == np.bool_
    assert np.array_equal(result.masks, masks == 1)
    assert np.array_equal(result.predicted_iou, ious)
    assert np.array_equal(result.low_res_logits, low_res)
    assert result.object_score.shape == ()
    assert 0 <= result.object_score <= 1
    assert np.array_equal(result.best, result.masks[ious.argmax()])
    several = predictor.segment(box=np.stack([BOX, BOX + 5]))
    assert several.best.shape == (2, HEIGHT, WIDTH)
    assert several.object_score.shape == (2,)


def test_a_batch_gives_what_each_image_gives_alone() -> None:
    images = [picture(), picture(90, 50, seed=1)]
    points = [POINTS, np.array([[20.0, 40.0]])]
    labels = [LABELS, np.array([1])]
    predictor = SAM2ImagePredictor(shared_model())

    predictor.set_image_batch(images)
    batch = predictor.predict_batch(points, labels, [BOX, None], return_logits=True)
    segmented = predictor.segment(points[1], labels[1], image_index=1)

    for index, (image, box) in enumerate(zip(images, (BOX, None), strict=True)):
        predictor.set_image(image)
        alone = predictor.predict(points[index], labels[index], box, return_logits=True)
        for joint, single in zip(batch, alone, strict=True):
            np.testing.assert_allclose(joint[index], single, atol=2e-3)
    assert segmented.masks.shape == (3, 90, 50)


def test_holes_and_sprinkles_are_cleaned_on_the_mask_grid() -> None:
    rough = SAM2ImagePredictor(shared_model())
    clean = SAM2ImagePredictor(shared_model(), max_hole_area=20, max_sprinkle_area=20)
    for predictor in (rough, clean):
        predictor.set_image(picture())

    before, _, low_res_before = rough.predict(POINTS, LABELS, return_logits=True)
    after, _, low_res_after = clean.predict(POINTS, LABELS, return_logits=True)

    assert np.array_equal(low_res_before, low_res_after)
    changed = before != after
    assert changed.any()
    assert not changed.all()


def test_a_threshold_moves_the_masks() -> None:
    predictor = SAM2ImagePredictor(shared_model(), mask_threshold=1.5)
    predictor.set_image(picture())

    masks, _, _ = predictor.predict(POINTS, LABELS)
    logits, _, _ = predictor.predict(POINTS, LABELS, return_logits=True)

    assert np.array_equal(masks == 1, logits > 1.5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_needs_no_autocast(dtype: torch.dtype) -> None:
    exact, half = SAM2ImagePredictor(shared_model()), SAM2ImagePredictor(small_model().to(dtype))
    for predictor in (exact, half):
        predictor.set_image(picture())

    masks, ious, low_res = half.predict(POINTS, LABELS)
    expected, _, logits = exact.predict(POINTS, LABELS)

    assert masks.dtype == ious.dtype == low_res.dtype == np.float32
    assert np.corrcoef(low_res.ravel(), logits.ravel())[0, 1] > 0.9
    assert (masks == expected).mean() > 0.8


def test_a_callers_autocast_changes_nothing(predictor: SAM2ImagePredictor) -> None:
    expected = predictor.predict(POINTS, LABELS, box=BOX, return_logits=True)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = SAM2ImagePredictor(shared_model())
        inside.set_image(picture())
        result = inside.predict(POINTS, LABELS, box=BOX, return_logits=True)
        assert torch.is_autocast_enabled("cpu")

    for one, other in zip(expected, result, strict=True):
        assert np.array_equal(one, other)


def test_tensors_handed_out_are_ordinary_ones(predictor: SAM2ImagePredictor) -> None:
    """People train on the embedding, and write into masks."""
    embedding = predictor.get_image_embedding()
    weight = torch.ones(1, requires_grad=True)
    (embedding * weight).sum().backward()
    coords = torch.tensor([[[30.0, 20.0]]])
    masks, ious, low_res = predictor._predict(coords, torch.ones(1, 1, dtype=torch.int32))

    assert embedding.shape == (1, 256, INPUT_SIZE // 16, INPUT_SIZE // 16)
    assert weight.grad is not None
    assert masks.dtype == torch.bool
    for tensor in (embedding, masks, ious, low_res):
        assert not tensor.is_inference()
        assert not tensor.requires_grad
    predictor.predict(POINTS, LABELS)[0][:] = 0


def test_tensors_in_the_models_pixels(predictor: SAM2ImagePredictor) -> None:
    mask_input, coords, labels, box = predictor._prep_prompts(POINTS, LABELS, BOX, None, True)
    masks, ious, low_res = predictor._predict(coords, labels, box, mask_input, return_logits=True)

    for tensor, array in zip(
        (masks, ious, low_res), predictor.predict(POINTS, LABELS, BOX, return_logits=True), strict=True
    ):
        assert np.array_equal(tensor[0].numpy(), array)


def test_a_pil_image_and_an_array_are_the_same(predictor: SAM2ImagePredictor) -> None:
    expected = predictor.get_image_embedding()

    predictor.set_image(Image.fromarray(picture()))

    assert torch.equal(predictor.get_image_embedding(), expected)


def test_nothing_is_predicted_before_an_image_is_set(predictor: SAM2ImagePredictor) -> None:
    predictor.reset_predictor()

    for call in (
        lambda: predictor.predict(POINTS, LABELS),
        lambda: predictor.segment(POINTS, LABELS),
        lambda: predictor.predict_batch([POINTS], [LABELS]),
        lambda: predictor._predict(torch.zeros(1, 1, 2), torch.ones(1, 1)),
        predictor.get_image_embedding,
    ):
        with pytest.raises(StateError, match="set_image"):
            call()


def test_one_image_and_a_batch_are_kept_apart(predictor: SAM2ImagePredictor) -> None:
    with pytest.raises(StateError, match="set_image_batch"):
        predictor.predict_batch([POINTS], [LABELS])
    predictor.set_image_batch([picture(), picture(seed=1)])
    with pytest.raises(StateError, match="predict_batch"):
        predictor.predict(POINTS, LABELS)
    with pytest.raises(InvalidInputError, match="image_index"):
        predictor.segment(POINTS, LABELS, image_index=2)
    with pytest.raises(InvalidInputError, match="one entry for each image: expected 2, got 1"):
        predictor.predict_batch([POINTS], [LABELS])
    with pytest.raises(InvalidInputError, match="image 1 of the batch"):
        predictor.predict_batch([POINTS, POINTS + 1000], [LABELS, LABELS])


@pytest.mark.parametrize("image", [np.zeros((5, 5, 3), np.uint16), np.full((5, 5), np.nan), np.zeros((0, 5), np.uint8)])
def test_a_refused_image_leaves_the_old_one_in_place(predictor: SAM2ImagePredictor, image: np.ndarray) -> None:
    before = predictor.predict(POINTS, LABELS)

    for call in (predictor.set_image, lambda one: predictor.set_image_batch([picture(), one])):
        with pytest.raises((InvalidInputError, InvalidTypeError)):
            call(image)

    for one, other in zip(before, predictor.predict(POINTS, LABELS), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("images", [[], np.zeros((2, 5, 5, 3), np.uint8)])
def test_a_batch_is_a_list_of_images(predictor: SAM2ImagePredictor, images: Any) -> None:
    with pytest.raises(InvalidInputError):
        predictor.set_image_batch(images)


@pytest.mark.parametrize(
    ("prompts", "match"),
    [
        ({"point_coords": POINTS}, "point_labels is missing"),
        ({"point_labels": LABELS}, "point_coords is missing"),
        ({"point_coords": POINTS, "point_labels": [1]}, "one label for each point"),
        ({"point_coords": POINTS, "point_labels": [1, 2]}, "a label is 1"),
        ({"point_coords": POINTS, "point_labels": [1, -1]}, "a label is 1"),
        ({"point_coords": POINTS, "point_labels": [1, 0.5]}, "a label is 1"),
        ({"point_coords": [30, 20], "point_labels": [1]}, "shape"),
        ({"point_coords": [[30, 20, 1]], "point_labels": [1]}, "shape"),
        ({"point_coords": [[30, np.nan]], "point_labels": [1]}, "NaN"),
        ({"point_coords": [[np.inf, 20]], "point_labels": [1]}, "infinite"),
        ({"point_coords": [[WIDTH + 1, 20]], "point_labels": [1]}, "outside the image"),
        ({"point_coords": [[30, -1]], "point_labels": [1]}, "outside the image"),
        ({"point_coords": [[30, HEIGHT + 1]], "point_labels": [1]}, "not \\(row, column\\)"),
        ({"point_coords": [[1, 2], [3]], "point_labels": [1, 1]}, "regular"),
        ({"box": [60, 10, 20, 60]}, "inverted"),
        ({"box": [20, 60, 70, 10]}, "inverted"),
        ({"box": [20, 10, 20, 60]}, "empty"),
        ({"box": [20, 10, np.nan, 60]}, "NaN"),
        ({"box": [WIDTH + 5, 10, WIDTH + 9, 60]}, "outside"),
        ({"box": [20, 10, 70]}, "shape"),
        ({"box": np.zeros((0, 4))}, "shape"),
        ({"mask_input": np.zeros((1, GRID, GRID + 1))}, "mask_input has shape"),
        ({"mask_input": np.zeros((GRID, GRID))}, "mask_input has shape"),
        ({"mask_input": np.zeros((3, GRID, GRID))}, "logits\\[best\\]\\[None\\]"),
        ({"mask_input": np.full((1, GRID, GRID), np.nan)}, "NaN"),
        ({"box": [BOX, BOX], "point_coords": POINTS, "point_labels": LABELS}, "point_coords for 1, box for 2"),
        ({"box": [BOX] * 3, "mask_input": np.zeros((2, 1, GRID, GRID))}, "box for 3, mask_input for 2"),
    ],
)
def test_impossible_prompts_are_refused(predictor: SAM2ImagePredictor, prompts: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        predictor.predict(**prompts)


@pytest.mark.parametrize("coords", ["here", [["a", "b"]], np.array([[1j, 2]]), [[None, 2]]])
def test_prompts_that_are_no_numbers_are_refused(predictor: SAM2ImagePredictor, coords: Any) -> None:
    with pytest.raises(InvalidTypeError, match="real numbers"):
        predictor.predict(coords, [1])


def test_fractions_go_up_to_one(predictor: SAM2ImagePredictor) -> None:
    with pytest.raises(InvalidInputError, match="fractions"):
        predictor.predict(POINTS, LABELS, normalize_coords=False)


def test_a_box_may_reach_over_the_border(predictor: SAM2ImagePredictor) -> None:
    masks, _, _ = predictor.predict(box=[-5, -5, WIDTH + 5, HEIGHT + 5])

    assert masks.shape == (3, HEIGHT, WIDTH)


def test_a_rectangular_input() -> None:
    predictor = SAM2ImagePredictor(small_model("++model.image_size=[64,128]"))
    predictor.set_image(picture())

    masks, _, low_res = predictor.predict(POINTS, LABELS)

    assert masks.shape == (3, HEIGHT, WIDTH)
    assert low_res.shape == (3, 16, 32)


def test_a_model_without_high_resolution_features() -> None:
    predictor = SAM2ImagePredictor(small_model("++model.use_high_res_features_in_sam=false"))
    predictor.set_image(picture())

    assert predictor.predict(POINTS, LABELS)[0].shape == (3, HEIGHT, WIDTH)


@pytest.mark.parametrize("prompts", [{}, {"point_coords": np.zeros((0, 2)), "point_labels": np.zeros(0)}])
def test_without_a_prompt_the_official_method_answers_and_ours_asks(
    predictor: SAM2ImagePredictor, prompts: dict[str, Any]
) -> None:
    masks, ious, low_res_masks = predictor.predict(**prompts)

    assert masks.shape == (3, HEIGHT, WIDTH)
    assert ious.shape == (3,)
    assert low_res_masks.shape == (3, GRID, GRID)
    with pytest.raises(InvalidInputError, match="no prompt"):
        predictor.segment(**prompts)


def test_fine_features_are_brought_into_order_once_an_image(
    predictor: SAM2ImagePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sam2_core.model.fine_features import FineFeatures

    calls = []
    nest = FineFeatures.nest
    monkeypatch.setattr(FineFeatures, "nest", lambda maps: calls.append(maps) or nest(maps))
    predictor.set_image_batch([picture(), picture()])
    predictor.predict_batch([POINTS, POINTS], [LABELS, LABELS])
    predictor.predict_batch([POINTS, POINTS], [LABELS, LABELS])

    assert len(calls) == 2


def test_features_that_are_known_take_the_place_of_the_image(predictor: SAM2ImagePredictor) -> None:
    expected = predictor.segment(POINTS, LABELS)
    with torch.inference_mode():
        features = predictor.model.forward_image(predictor._transforms(picture())[None])
    other = SAM2ImagePredictor(shared_model())
    other.set_features(features, (HEIGHT, WIDTH))
    answer = other.segment(POINTS, LABELS)
    assert np.array_equal(answer.masks, expected.masks)
    assert np.array_equal(answer.predicted_iou, expected.predicted_iou)

"""What a person does with the predictors, written once and played on both sides through the shared public API.

Each function takes an object with the official signatures and returns named arrays. Logits are recorded, and masks
beside them where the API returns masks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.parity import inputs

Results = dict[str, np.ndarray]


def names_and_shapes(model: Any) -> np.ndarray:
    """Each entry of the state dict as text, sorted."""
    return np.array(sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in model.state_dict().items()))


def play_image_predictor(predictor: Any) -> Results:
    """Points, box, boxes, box and points, mask input, several prompts at once, a PIL image, and a batch of images."""
    results: Results = {}
    height, width = inputs.PICTURE_SIZE
    points = np.array([[110.0, 90.0], [300.5, 210.25], [20.0, 280.0]], np.float32)
    labels = np.array([1, 1, 0], np.int32)
    boxes = np.array([[60, 40, 180, 150], [200.5, 120, 390, 260], [5, 180, 90, 295]], np.float32)

    def record(name: str, **prompt: Any) -> np.ndarray:
        logits, scores, low_resolution = predictor.predict(return_logits=True, **prompt)
        masks, _, _ = predictor.predict(return_logits=False, **prompt)
        results[f"{name}/logits"], results[f"{name}/scores"] = logits, scores
        results[f"{name}/low_resolution"], results[f"{name}/masks"] = low_resolution, np.asarray(masks) > 0
        return np.asarray(low_resolution)

    predictor.set_image(inputs.picture(1))
    results["embedding"] = predictor.get_image_embedding().float().cpu().numpy()
    low_resolution = record("point", point_coords=points[:1], point_labels=labels[:1])
    record("points", point_coords=points, point_labels=labels, multimask_output=False)
    record("points_three_masks", point_coords=points, point_labels=labels)
    record("box", box=boxes[0], multimask_output=False)
    record("boxes", box=boxes, multimask_output=False)
    record("box_and_point", box=boxes[1], point_coords=points[1:2], point_labels=labels[1:2], multimask_output=False)
    record(
        "mask_input",
        point_coords=points[:2],
        point_labels=labels[:2],
        mask_input=low_resolution[1:2],
        multimask_output=False,
    )
    record("mask_input_alone", mask_input=low_resolution[:1], multimask_output=False)
    record("without_prompt")
    record("prompts_at_once", point_coords=points[:, None], point_labels=labels[:, None])
    relative = points / np.array([width, height], np.float32)
    record("relative_coordinates", point_coords=relative, point_labels=labels, normalize_coords=False)

    predictor.set_image(Image.fromarray(inputs.picture(2, (251, 187))))
    record("pil", point_coords=points[:1], point_labels=labels[:1])

    predictor.set_image_batch([inputs.picture(3), inputs.picture(4, (210, 330))])
    for name, prompt in {
        "points": {"point_coords_batch": [points, points[:2] * 0.6], "point_labels_batch": [labels, labels[1:]]},
        "boxes": {"box_batch": [boxes, boxes[:1] * 0.6]},
    }.items():
        logits, scores, low = predictor.predict_batch(multimask_output=False, return_logits=True, **prompt)
        for index in range(2):
            results[f"batch_{name}_{index}/logits"] = logits[index]
            results[f"batch_{name}_{index}/scores"] = scores[index]
            results[f"batch_{name}_{index}/low_resolution"] = low[index]
    return results


def play_cleaned_masks(predictor: Any) -> Results:
    """Masks whose small holes and sprinkles are removed."""
    predictor.set_image(inputs.picture(1))
    logits, scores, low = predictor.predict(np.array([[110.0, 90.0]]), np.array([1]), return_logits=True)
    return {"logits": logits, "scores": scores, "low_resolution": low}


def _keep(results: Results, name: str, answer: Any) -> None:
    """Note what a video predictor answered: frame, object ids and logits."""
    frame, ids, logits = answer
    results[f"{name}/frame"], results[f"{name}/ids"] = np.array(frame), np.array(ids)
    results[f"{name}/logits"] = logits.float().cpu().numpy()


def play_video_predictor(predictor: Any, frames: Path) -> Results:
    """One story with every kind of prompt, in every direction, with objects that come later and go."""
    results: Results = {}
    keep = partial(_keep, results)
    state = predictor.init_state(str(frames))
    keep("point", predictor.add_new_points_or_box(state, 1, 11, points=[[110.0, 90.0]], labels=[1]))
    keep(
        "second_point",
        predictor.add_new_points_or_box(state, 1, 11, points=[[150.0, 120.0]], labels=[0], clear_old_points=False),
    )
    keep("box", predictor.add_new_points_or_box(state, 1, 22, box=[200.5, 120, 390, 260]))
    keep("mask", predictor.add_new_mask(state, 2, 33, inputs.disc_mask((250, 100), 45)))
    for answer in predictor.propagate_in_video(state, start_frame_idx=1, max_frame_num_to_track=2):
        keep(f"forward_{answer[0]}", answer)
    for answer in predictor.propagate_in_video(state, start_frame_idx=2, reverse=True):
        keep(f"reverse_{answer[0]}", answer)
    keep("correction", predictor.add_new_points_or_box(state, 3, 11, points=[[140.0, 110.0]], labels=[1]))
    frame, ids, logits = predictor.add_new_mask(state, 3, 44, inputs.disc_mask((120, 220), 40))
    # Until the next propagation the official answer shows the corrected object as it was: only the new one counts.
    keep("later_object", (frame, ids[-1:], logits[-1:]))
    ids, updated = predictor.remove_object(state, 22)
    results["removal/ids"] = np.array(ids)
    for frame, logits in updated:
        results[f"removal_{frame}/logits"] = logits.float().cpu().numpy()
    for answer in predictor.propagate_in_video(state, start_frame_idx=3, max_frame_num_to_track=1):
        keep(f"again_{answer[0]}", answer)
    return results


def play_short_video(predictor: Any, frames: Path) -> Results:
    """A point, a box, a mask, a correction, a later object, a removal and the way back: a story for large inputs."""
    results: Results = {}
    keep = partial(_keep, results)
    state = predictor.init_state(str(frames))
    keep("point", predictor.add_new_points_or_box(state, 0, 11, points=[[110.0, 90.0]], labels=[1]))
    keep("box", predictor.add_new_points_or_box(state, 0, 22, box=[200.5, 120, 390, 260]))
    keep("mask", predictor.add_new_mask(state, 0, 33, inputs.disc_mask((250, 100), 45)))
    for answer in predictor.propagate_in_video(state, start_frame_idx=0, max_frame_num_to_track=1):
        keep(f"forward_{answer[0]}", answer)
    keep("correction", predictor.add_new_points_or_box(state, 1, 11, points=[[140.0, 110.0]], labels=[1]))
    ids, _ = predictor.remove_object(state, 33)
    results["removal/ids"] = np.array(ids)
    frame, ids, logits = predictor.add_new_mask(state, 1, 44, inputs.disc_mask((120, 220), 40))
    keep("later_object", (frame, ids[-1:], logits[-1:]))
    for answer in predictor.propagate_in_video(state, start_frame_idx=1, reverse=True):
        keep(f"reverse_{answer[0]}", answer)
    return results


def play_nine_objects(predictor: Any, frames: Path) -> Results:
    """Nine objects prompted on all frames, with points, boxes and masks, tracked forwards and backwards.

    Holes are not filled: in masks like noise, as random weights give, one pixel that is nearly zero makes a hole larger
    or smaller than what is filled, and changes all of it. The other stories fill holes.
    """
    filled, predictor.fill_hole_area = predictor.fill_hole_area, 0
    results: Results = {}
    keep = partial(_keep, results)
    state = predictor.init_state(str(frames))
    for index in range(9):
        frame, x, y = index % 5, 60.0 + 30 * index, 50.0 + 23 * ((index * 4) % 9)
        if index % 3 == 0:
            answer = predictor.add_new_points_or_box(state, frame, index + 1, points=[[x, y]], labels=[1])
        elif index % 3 == 1:
            answer = predictor.add_new_points_or_box(state, frame, index + 1, box=[x - 30, y - 25, x + 30, y + 25])
        else:
            answer = predictor.add_new_mask(state, frame, index + 1, inputs.disc_mask((x, y), 28))
        keep(f"prompt_{index}", answer)
    for answer in predictor.propagate_in_video(state, start_frame_idx=0):
        keep(f"forward_{answer[0]}", answer)
    for answer in predictor.propagate_in_video(state, start_frame_idx=3, reverse=True):
        keep(f"reverse_{answer[0]}", answer)
    predictor.fill_hole_area = filled
    return results


def play_joint_objects(predictor: Any, frames: Path) -> Results:
    """What the predictor of before December 2024 does: objects that share their conditioning frames."""
    results: Results = {}
    keep = partial(_keep, results)
    state = predictor.init_state(str(frames))
    keep("point", predictor.add_new_points_or_box(state, 0, 1, points=[[110.0, 90.0]], labels=[1]))
    keep("box", predictor.add_new_points_or_box(state, 2, 2, box=[200.5, 120, 390, 260]))
    keep("mask", predictor.add_new_mask(state, 2, 3, inputs.disc_mask((250, 100), 45)))
    for answer in predictor.propagate_in_video(state):
        keep(f"first_{answer[0]}", answer)
    keep("correction", predictor.add_new_points_or_box(state, 3, 1, points=[[140.0, 110.0]], labels=[1]))
    for answer in predictor.propagate_in_video(state, start_frame_idx=1):
        keep(f"second_{answer[0]}", answer)
    predictor.clear_all_prompts_in_frame(state, 2, 3, need_output=False)
    ids, _ = predictor.remove_object(state, 2)
    results["removal/ids"] = np.array(ids)
    for answer in predictor.propagate_in_video(state, start_frame_idx=4, reverse=True):
        keep(f"third_{answer[0]}", answer)
    return results


def play_options(predictor: Any, frames: Path) -> Results:
    """Box with points, cleared prompts, several conditioning frames, reset, and masks that may not overlap."""
    results: Results = {}
    keep = partial(_keep, results)
    state = predictor.init_state(str(frames), offload_video_to_cpu=True, offload_state_to_cpu=True)
    keep(
        "box_and_point",
        predictor.add_new_points_or_box(state, 0, 1, box=[60, 40, 180, 150], points=[[100.0, 90.0]], labels=[1]),
    )
    relative = {"points": [[0.6, 0.4]], "labels": [1], "normalize_coords": False}
    keep("relative", predictor.add_new_points_or_box(state, 0, 2, **relative))
    keep("conditioning", predictor.add_new_points_or_box(state, 4, 1, points=[[120.0, 100.0]], labels=[1]))
    keep("conditioning_mask", predictor.add_new_mask(state, 3, 2, inputs.disc_mask((260, 130), 50)))
    for answer in predictor.propagate_in_video(state):
        keep(f"first_{answer[0]}", answer)
    keep("cleared", predictor.clear_all_prompts_in_frame(state, 4, 1))
    keep("empty_mask", predictor.add_new_mask(state, 2, 1, np.zeros(inputs.PICTURE_SIZE, bool)))
    for answer in predictor.propagate_in_video(state, start_frame_idx=1):
        keep(f"second_{answer[0]}", answer)
    predictor.reset_state(state)
    keep("after_reset", predictor.add_new_points_or_box(state, 2, 5, points=[[30.0, 30.0]], labels=[1]))
    for answer in predictor.propagate_in_video(state, reverse=True):
        keep(f"third_{answer[0]}", answer)
    return results


# Thresholds at which a random network keeps some candidates and drops others.
GENERATOR_SETTINGS: dict[str, dict[str, Any]] = {
    "few_points": {"box_nms_thresh": 1.0, "points_per_side": 4},
    "plain": {"box_nms_thresh": 1.0},
    "nms": {"box_nms_thresh": 0.9},
    "crops": {"crop_n_layers": 1, "box_nms_thresh": 1.0, "crop_nms_thresh": 0.99, "points_per_side": 4},
    "m2m": {"use_m2m": True, "box_nms_thresh": 1.0, "points_per_side": 4},
    "trained": {"points_per_side": 12, "stability_score_thresh": 0.6, "stability_score_offset": 1.0},
    "trained_crops": {
        "points_per_side": 8,
        "stability_score_thresh": 0.6,
        "stability_score_offset": 1.0,
        "crop_n_layers": 1,
        "crop_n_points_downscale_factor": 2,
    },
    "one_mask": {"multimask_output": False, "box_nms_thresh": 1.0, "output_mode": "uncompressed_rle"},
}
GENERATOR_DEFAULTS = {
    "points_per_side": 6,
    "points_per_batch": 16,
    "pred_iou_thresh": 0.3,
    "stability_score_thresh": 0.8,
    "stability_score_offset": 0.3,
    "output_mode": "coco_rle",
}


def play_generator(generator: Any) -> Results:
    """Everything the generator returns, one row per mask, in a fixed order."""
    records = generator.generate(inputs.picture(5))
    rows, masks = [], []
    for record in records:
        segmentation = record["segmentation"]
        rows.append(
            [
                *record["point_coords"][0],
                record["predicted_iou"],
                record["stability_score"],
                record["area"],
                *record["bbox"],
                *record["crop_box"],
            ]
        )
        masks.append(_decoded(segmentation))
    table = np.array(rows, np.float64).reshape(-1, 13)
    stack = np.array(masks, bool).reshape(-1, *inputs.PICTURE_SIZE)
    # Point, then crop, then score: what is left of the order after non-maximum suppression is of no meaning.
    order = np.lexsort((table[:, 2], table[:, 9], table[:, 10], table[:, 0], table[:, 1]))
    return {"table": table[order], "masks": stack[order]}


def _decoded(segmentation: Any) -> np.ndarray:
    """(H, W) bool of any of the generator's three output modes."""
    if isinstance(segmentation, np.ndarray):
        return segmentation.astype(bool)
    if isinstance(segmentation["counts"], list):
        height, width = segmentation["size"]
        values = np.arange(len(segmentation["counts"])) % 2 == 1
        return np.repeat(values, segmentation["counts"]).reshape(width, height).T
    from pycocotools import mask as coco_mask

    return np.asarray(coco_mask.decode(segmentation)).astype(bool)

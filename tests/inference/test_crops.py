from __future__ import annotations

import numpy as np
import torch

from sam2_core.inference.crops import (
    batched_mask_to_box,
    box_xyxy_to_xywh,
    generate_crop_boxes,
    is_box_near_crop_edge,
    uncrop_boxes_xyxy,
    uncrop_masks,
    uncrop_points,
)


def test_crops_cover_the_image_and_overlap() -> None:
    boxes, layers = generate_crop_boxes((300, 500), 2, 512 / 1500)

    assert boxes[0] == [0, 0, 500, 300]
    assert layers == [0] + [1] * 4 + [2] * 16
    covered = np.zeros((300, 500), dtype=int)
    for x0, y0, x1, y1 in boxes[1:5]:
        assert 0 <= x0 < x1 <= 500
        assert 0 <= y0 < y1 <= 300
        covered[y0:y1, x0:x1] += 1
    assert covered.min() == 1
    assert boxes[1] == [0, 0, 301, 201]
    assert boxes[2] == [0, 99, 301, 300]


def test_the_way_back_from_a_crop() -> None:
    crop = [10, 20, 15, 24]

    assert uncrop_boxes_xyxy(torch.tensor([[1, 2, 3, 4]]), crop).tolist() == [[11, 22, 13, 24]]
    assert uncrop_points(torch.tensor([[[1.5, 2.0]]]), crop).tolist() == [[[11.5, 22.0]]]
    masks = uncrop_masks(torch.ones(2, 4, 5, dtype=torch.bool), crop, 30, 40)
    assert masks.shape == (2, 30, 40)
    assert batched_mask_to_box(masks).tolist() == [[10, 20, 14, 23]] * 2


def test_boxes_cut_by_a_crop_are_found_but_not_those_at_the_images_edge() -> None:
    boxes = torch.tensor([[30, 30, 60, 60], [0, 30, 60, 60], [30, 30, 95, 60], [30, 0, 60, 60]])

    near = is_box_near_crop_edge(boxes, [100, 0, 200, 100], [0, 0, 300, 300])

    assert near.tolist() == [False, True, True, False]


def test_boxes_of_empty_and_single_pixel_masks() -> None:
    masks = torch.zeros(2, 3, 5, 6, dtype=torch.bool)
    masks[1, 2, 4, 3] = True
    boxes = batched_mask_to_box(masks)

    assert boxes.shape == (2, 3, 4)
    assert boxes[1, 2].tolist() == [3, 4, 3, 4]
    assert boxes.sum() == 14
    assert batched_mask_to_box(torch.zeros(0, 5, 6, dtype=torch.bool)).shape == (0, 4)


def test_a_box_by_its_size() -> None:
    box = torch.tensor([1.0, 2.0, 5.0, 9.0])

    assert box_xyxy_to_xywh(box).tolist() == [1, 2, 4, 7]
    assert box.tolist() == [1, 2, 5, 9]

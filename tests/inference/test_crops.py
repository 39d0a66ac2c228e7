from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.crops import (
    batched_mask_to_box,
    box_xyxy_to_xywh,
    generate_crop_boxes,
    is_box_near_crop_edge,
    uncrop_boxes_xyxy,
    uncrop_masks,
    uncrop_points,
)
from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.point_grids import batch_iterator, build_all_layer_point_grids, build_point_grid


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


def test_grids_hold_the_centres_of_cells() -> None:
    assert build_point_grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert [len(grid) for grid in build_all_layer_point_grids(8, 2, 2)] == [64, 16, 4]
    with pytest.raises(InvalidInputError, match="at least one point"):
        build_point_grid(0)


def test_batches_walk_in_step() -> None:
    assert list(batch_iterator(2, [1, 2, 3], "abc")) == [[[1, 2], "ab"], [[3], "c"]]
    with pytest.raises(InvalidInputError, match="one length"):
        list(batch_iterator(2, [1, 2], "abc"))


def test_a_table_of_masks_filters_and_joins_all_columns() -> None:
    data = MaskData(a=[1, 2, 3], b=np.arange(3), c=torch.arange(3.0))
    data.filter(torch.tensor([True, False, True]))
    data.cat(MaskData(a=[7], b=np.array([8]), c=torch.tensor([9.0])))
    data.filter(torch.tensor([2, 0]))

    assert data["a"] == [7, 1]
    assert data["b"].tolist() == [8, 0]
    assert data["c"].tolist() == [9, 0]
    data.to_numpy()
    assert isinstance(data["c"], np.ndarray)
    del data["a"]
    assert "a" not in data
    with pytest.raises(InvalidTypeError, match="column"):
        data["a"] = "abc"

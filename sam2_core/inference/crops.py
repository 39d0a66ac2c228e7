"""Overlapping crops of an image, and the way back from a crop to the image.

Boxes are x0, y0, x1, y1 in pixels unless a name says otherwise.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Box = TypeVar("Box", Tensor, npt.NDArray[np.generic], list[float])


def generate_crop_boxes(
    im_size: Sequence[int], n_layers: int, overlap_ratio: float
) -> tuple[list[list[int]], list[int]]:
    """Cut an image into layers of overlapping crops.

    Parameters
    ----------
    im_size : (int, int)
        Height and width of the image.
    n_layers : int
        Layers of crops beside the whole image; layer i has 2**i crops along each side.
    overlap_ratio : float
        Overlap of neighbours in the first layer as a fraction of the image's shorter side; halved from layer to layer.

    Returns
    -------
    boxes : list of [int, int, int, int]
        The whole image first, then layer by layer, column by column.
    layers : list of int
        The layer of each box; 0 is the whole image.
    """
    height, width = int(im_size[0]), int(im_size[1])
    boxes = [[0, 0, width, height]]
    layers = [0]
    for layer in range(1, n_layers + 1):
        per_side = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / per_side))
        crop_width, crop_height = (
            math.ceil((length + overlap * (per_side - 1)) / per_side) for length in (width, height)
        )
        for column, row in itertools.product(range(per_side), repeat=2):
            x, y = column * (crop_width - overlap), row * (crop_height - overlap)
            boxes.append([x, y, min(x + crop_width, width), min(y + crop_height, height)])
            layers.append(layer)
    return boxes, layers


def box_xyxy_to_xywh(box_xyxy: Box) -> Box:
    """Turn one box x0, y0, x1, y1 into x0, y0, width, height; the argument is not changed."""
    box = copy.deepcopy(box_xyxy)
    box[2] = box[2] - box[0]
    box[3] = box[3] - box[1]
    return box


def uncrop_boxes_xyxy(boxes: Tensor, crop_box: Sequence[int]) -> Tensor:
    """Move boxes (N, 4) or (N, M, 4) from a crop's frame to the image's."""
    x, y = crop_box[:2]
    return boxes + torch.tensor([x, y, x, y], device=boxes.device)


def uncrop_points(points: Tensor, crop_box: Sequence[int]) -> Tensor:
    """Move points (N, 2) or (N, M, 2), x before y, from a crop's frame to the image's."""
    return points + torch.tensor(crop_box[:2], device=points.device)


def uncrop_masks(masks: Tensor, crop_box: Sequence[int], orig_h: int, orig_w: int) -> Tensor:
    """Lay masks (N, h, w) of a crop into the image: (N, orig_h, orig_w), zero outside the crop."""
    x0, y0, x1, y1 = crop_box
    if (x0, y0, x1, y1) == (0, 0, orig_w, orig_h):
        return masks
    return F.pad(masks, (x0, orig_w - x1, y0, orig_h - y1), value=0)


def is_box_near_crop_edge(
    boxes: Tensor, crop_box: Sequence[int], orig_box: Sequence[int], atol: float = 20.0
) -> Tensor:
    """Find boxes that a crop probably cut off.

    Parameters
    ----------
    boxes : Tensor
        (N, 4) in the crop's frame.
    crop_box : [int, int, int, int]
        The crop in the image's frame.
    orig_box : [int, int, int, int]
        The whole image: 0, 0, width, height. An object at the image's own edge is not cut off by the crop.
    atol : float
        Distance in pixels, that distance included, that counts as near.

    Returns
    -------
    Tensor of bool
        (N,), true where a side lies near the crop's side and not near the image's.
    """
    sides = uncrop_boxes_xyxy(boxes, crop_box).float()
    near_crop = (sides - sides.new_tensor(crop_box)).abs() <= atol
    near_image = (sides - sides.new_tensor(orig_box)).abs() <= atol
    return (near_crop & ~near_image).any(dim=1)


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """Find the boxes around masks.

    Parameters
    ----------
    masks : Tensor of bool
        (..., y, x).

    Returns
    -------
    Tensor of int64
        (..., 4): first and last column and row with a pixel, as x0, y0, x1, y1; zeros for an empty mask.
    """
    height, width = masks.shape[-2:]
    if masks.numel() == 0:
        return torch.zeros(*masks.shape[:-2], 4, dtype=torch.int64, device=masks.device)
    y0, y1 = _first_and_last(masks.any(dim=-1), height)
    x0, x1 = _first_and_last(masks.any(dim=-2), width)
    return torch.stack([x0, y0, x1, y1], dim=-1)


def _first_and_last(occupied: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """First and last true position along the last axis; zeros where there is none."""
    flags = occupied.to(torch.uint8)
    some = occupied.any(dim=-1)
    return flags.argmax(dim=-1) * some, (length - 1 - flags.flip(-1).argmax(dim=-1)) * some

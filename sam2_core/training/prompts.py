"""Prompts a person might give: clicks, boxes, corrections. Coordinates are (x, y) pixels of the model's input."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.inference.mask_depth import innermost
from sam2_core.model import PointPrompts


def clicks(random: np.random.Generator, masks: Tensor, *, central: float = 0.5) -> PointPrompts:
    """One positive click in each mask (B, H, W); a ``central`` share of them in the middle."""
    places = [innermost(mask, None if random.random() < central else random) for mask in masks.numpy()]
    coords = torch.tensor(places, dtype=torch.float32)[:, None]
    return PointPrompts(coords, torch.ones(len(places), 1, dtype=torch.int32))


def boxes(random: np.random.Generator, masks: Tensor, *, noise: float = 0.1) -> PointPrompts:
    """A box round each mask (B, H, W), its corners (labels 2, 3) off by ``noise`` of its sides or 20 pixels at most."""
    height, width = masks.shape[-2:]
    corners = []
    for mask in masks.numpy():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            raise InvalidInputError("No box can be drawn: the mask is empty.")
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)
        sides = np.array([box[2] - box[0], box[3] - box[1]] * 2)
        box += random.uniform(-1, 1, 4).astype(np.float32) * np.minimum(noise * sides, 20)
        corners.append(np.clip(box, 0, [width, height, width, height]).reshape(2, 2))
    labels = torch.tensor([[2, 3]], dtype=torch.int32).expand(len(corners), -1)
    return PointPrompts(torch.from_numpy(np.stack(corners)).float(), labels.contiguous())


def corrections(random: np.random.Generator, truth: Tensor, predicted: Tensor) -> PointPrompts:
    """One click in the larger error of each prediction: positive where it missed, negative where it went too far.

    Parameters
    ----------
    random : numpy Generator
    truth, predicted : Tensor (B, H, W) bool

    Returns
    -------
    PointPrompts
        (B, 1, 2) and (B, 1). Where there is no error, a click anywhere, with the label that is right there.
    """
    places: list[tuple[int, int]] = []
    labels: list[int] = []
    for true, said in zip(truth.numpy(), predicted.numpy(), strict=True):
        missed, extra = true & ~said, said & ~true
        wrong = missed if missed.sum() >= extra.sum() else extra
        if wrong.any():
            x, y = innermost(wrong, random)
        else:
            y, x = int(random.integers(true.shape[0])), int(random.integers(true.shape[1]))
        places.append((x, y))
        labels.append(int(true[y, x]))
    return PointPrompts(
        torch.tensor(places, dtype=torch.float32)[:, None], torch.tensor(labels, dtype=torch.int32)[:, None]
    )


def joined(first: PointPrompts, second: PointPrompts) -> PointPrompts:
    """Both sets of points for the same objects."""
    return PointPrompts(
        torch.cat((first.coords, second.coords), dim=1), torch.cat((first.labels, second.labels), dim=1)
    )

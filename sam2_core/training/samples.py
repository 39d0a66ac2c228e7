"""From a pool of drawn stacks to what the network is shown: crops, flips, contrast, colour, objects to segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD
from sam2_core.training.pool import Pool


@dataclass(frozen=True)
class Batch:
    """Stacks and the objects to segment in them.

    Attributes
    ----------
    images : Tensor (T, B, 3, S, S), float32
        Normalised.
    labels : Tensor (T, B, S, S), int64
    objects : Tensor (B, K), int64
        Labels of the objects to segment; each is in the frame `start`.
    start : int
        Frame that is prompted.
    """

    images: Tensor
    labels: Tensor
    objects: Tensor
    start: int = 0

    def masks(self, frame: int) -> Tensor:
        """Truth of every object in a frame: (B * K, S, S) bool."""
        return (self.labels[frame][:, None] == self.objects[:, :, None, None]).flatten(0, 1)


def _crop(
    random: np.random.Generator, image: NDArray[np.uint8], labels: NDArray[np.uint16], size: int
) -> tuple[Tensor, Tensor]:
    """Crop, resize, turn and flip a stack (T, y, x) to (T, size, size): float32 in [0, 1] and int64.

    Of several frames what is seen may follow a cell, as the window of a crop tracker does, or drift.
    """
    height, width = image.shape[1:]
    shorter = min(height, width)
    # Where the stack is smaller than what is shown of it, it is magnified up to twice as much as it has to be.
    closest, widest = min(0.6 * size, 0.5 * shorter), min(1.5 * size, shorter)
    side = int(np.clip(np.exp(random.uniform(np.log(closest), np.log(widest))), 40, shorter))
    tall = int(np.clip(side * np.exp(random.normal(0, 0.08)), 36, height))
    top, left = int(random.integers(0, height - tall + 1)), int(random.integers(0, width - side + 1))
    tops, lefts = _corners(random, labels, (top, left), (tall, side))
    windows = [np.s_[at, y : y + tall, x : x + side] for at, (y, x) in enumerate(zip(tops, lefts, strict=True))]
    shown = np.stack([image[window] for window in windows])
    truth = np.stack([labels[window] for window in windows]).astype(np.float32)
    if random.random() < 0.5:
        shown, truth = shown[:, :, ::-1], truth[:, :, ::-1]
    turns = int(random.integers(4))
    shown, truth = np.rot90(shown, turns, (1, 2)).copy(), np.rot90(truth, turns, (1, 2)).copy()
    pixels = torch.from_numpy(shown)[None].float().div_(255)
    shrinks = side > size
    resized = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False, antialias=shrinks)[0]
    # Resampling may leave [0, 1] by a rounding error, of which a gamma would make NaN.
    resized = resized.clamp_(0, 1)
    nearest = F.interpolate(torch.from_numpy(truth)[None], (size, size), mode="nearest-exact")[0]
    return resized, nearest.long()


def _corners(
    random: np.random.Generator, labels: NDArray[np.uint16], corner: tuple[int, int], shown: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Top and left of what is shown of each frame.

    In two of five stacks always `corner`; in one of five moving on evenly; in the others around where one of the cells
    was a frame ago.
    """
    frames, *size = labels.shape
    chosen = random.random()
    at = np.tile(np.array(corner, dtype=np.float64), (frames, 1))
    if frames > 1 and chosen < 0.2:
        at += np.arange(frames)[:, None] * random.uniform(-0.12, 0.12, 2) * shown
    elif frames > 1 and chosen < 0.6:
        seen = labels[0, corner[0] : corner[0] + shown[0], corner[1] : corner[1] + shown[1]]
        cells = np.unique(seen[seen > 0])
        if len(cells):
            cell = random.choice(cells)
            # Not always in the middle, and never quite where it was.
            offset = random.uniform(0.3, 0.7, 2)
            for time in range(frames):
                found = np.argwhere(labels[max(time - 1, 0)] == cell)
                if len(found):
                    at[time:] = found.mean(axis=0) - (offset + random.normal(0, 0.03, 2)) * shown
    last = np.array([size[0] - shown[0], size[1] - shown[1]])
    whole = np.clip(np.rint(at), 0, last).astype(np.int64)
    return whole[:, 0], whole[:, 1]


def _colour(random: np.random.Generator, grey: Tensor) -> Tensor:
    """Contrast, noise and colour for grey (T, S, S) in [0, 1]: normalised (T, 3, S, S)."""
    if random.random() < 0.08:
        grey = 1 - grey
    if random.random() < 0.4:
        grey = grey ** float(np.exp(random.normal(0, 0.3)))
    if random.random() < 0.3:
        grey = grey * float(random.uniform(0.4, 1.0)) + float(random.uniform(0, 0.3))
    if random.random() < 0.3:
        noise = random.standard_normal(grey.shape, dtype=np.float32)
        grey = grey + float(random.uniform(0, 0.06)) * torch.from_numpy(noise)
    grey = grey.clamp(0, 1)
    kind = random.random()
    if kind < 0.75:
        colour = grey[:, None].expand(-1, 3, -1, -1)
    elif kind < 0.87:
        # One channel of a camera, the others dark.
        gain = torch.from_numpy(random.uniform(0, 0.25, 3).astype(np.float32))
        gain[int(random.integers(3))] = 1.0
        colour = grey[:, None] * gain[:, None, None]
    else:
        # A stain on a ground of another colour.
        ends = torch.from_numpy(random.uniform(0, 1, (2, 3, 1, 1)).astype(np.float32))
        colour = ends[0] + (ends[1] - ends[0]) * grey[:, None]
    mean, deviation = torch.tensor(IMAGE_MEAN)[:, None, None], torch.tensor(IMAGE_STD)[:, None, None]
    return (colour - mean) / deviation


def draw_batch(
    random: np.random.Generator,
    pool: Pool,
    *,
    stacks: int,
    objects: int,
    size: int,
    frames: int = 1,
    smallest_area: float = 40.0,
) -> Batch:
    """Take random stacks from a pool and random objects from each.

    Parameters
    ----------
    random : numpy Generator
    pool : Pool
    stacks, objects : int
        B stacks, K objects in each; an object comes twice where there are too few.
    size : int
        Side of the images shown, S.
    frames : int
        Frames shown of each stack, in order or reversed; at most those of the pool. Where the pool has frames to
        spare some are left out, so that what moves moves faster.
    smallest_area : float
        Least area in pixels of an object in the frame that is prompted: of several frames the first in two of five
        batches, any other alike. Objects that are absent from the first or the last frame are taken more often.

    Returns
    -------
    Batch
    """
    images: list[Tensor] = []
    labels: list[Tensor] = []
    chosen: list[NDArray[np.int64]] = []
    start = int(random.integers(frames)) if frames > 1 and random.random() < 0.6 else 0
    while len(images) < stacks:
        index = int(random.integers(len(pool)))
        apart = 1 if frames == 1 else int(random.integers(1, (pool.frames - 1) // (frames - 1) + 1))
        length = (frames - 1) * apart + 1
        first = int(random.integers(0, pool.frames - length + 1))
        window = slice(first, first + length, apart)
        grey, truth = _crop(random, pool.images[index, window], pool.labels[index, window], size)
        if random.random() < 0.5:
            grey, truth = grey.flip(0), truth.flip(0)
        area = torch.bincount(truth[start].flatten())
        area[0] = 0
        large = torch.nonzero(area >= smallest_area).flatten().numpy()
        if len(large) == 0:
            continue
        share = None
        if frames > 1:
            weight = 1.0 + 2.0 * (~np.isin(large, truth[0]) | ~np.isin(large, truth[-1]))
            share = weight / weight.sum()
        chosen.append(random.choice(large, objects, replace=len(large) < objects, p=share).astype(np.int64))
        images.append(_colour(random, grey))
        labels.append(truth)
    return Batch(torch.stack(images, dim=1), torch.stack(labels, dim=1), torch.from_numpy(np.stack(chosen)), start)

"""How well one click is answered on frames that were held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import TrainingVideo
from sam2_core.inference.mask_depth import innermost
from sam2_core.model import ImageFeatures, PointPrompts, SAM2Base
from sam2_core.training.fine_tuning.views import encoded, encoder_learns, input_image
from sam2_core.training.objectives import candidates, decode_prompts, repeated

#: Objects that are clicked on, at most.
MOST_OBJECTS = 64
#: Objects that are decoded together.
TOGETHER = 16
#: Longer side of a preview picture in pixels.
PREVIEW_SIDE = 320


@dataclass(frozen=True)
class ClickedFrame:
    """A frame, and the objects that are clicked on.

    Attributes
    ----------
    image : ndarray (y, x, rgb) uint8
    masks : ndarray (N, y, x) bool
    clicks : ndarray (N, 2) float32
        (x, y) in pixels: the innermost pixel of each.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    clicks: NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """What a validation found.

    Attributes
    ----------
    iou : float
        Mean IoU over the objects, from one click in the middle of each: of the candidate that the model thinks best.
    preview : ndarray (y, x, rgb) uint8
        The first frame: what was said is green, what is true is red, both are yellow.
    """

    iou: float
    preview: NDArray[np.uint8]


class ClickValidation:
    """One click in the middle of each object of some frames.

    Parameters
    ----------
    videos : sequence of TrainingVideo
    frames : sequence of int
        One of each video.
    most : int
        Objects; evenly spread ones where there are more.

    Raises
    ------
    InvalidInputError
        No frame shows an object.
    """

    def __init__(self, videos: Sequence[TrainingVideo], frames: Sequence[int], most: int = MOST_OBJECTS) -> None:
        share = max(1, most // max(len(frames), 1))
        self._frames = []
        for video, frame in zip(videos, frames, strict=True):
            masks = list((video.masks(frame) or {}).values())
            chosen = [masks[number] for number in sorted({*np.linspace(0, len(masks) - 1, share).round().astype(int)})]
            if chosen:
                clicks = np.array([innermost(mask) for mask in chosen], np.float32)
                self._frames.append(ClickedFrame(video.image(frame), np.stack(chosen), clicks))
        if not self._frames:
            raise InvalidInputError(f"Frames {list(frames)} of {videos[0].name} show no object to validate on.")
        self._kept: dict[int, ImageFeatures] = {}

    @torch.no_grad()
    def measure(self, model: SAM2Base) -> Measured:
        """Click on every object; the model comes back in the mode in which it was."""
        was_training = model.training
        model.eval()
        if encoder_learns(model):
            self._kept.clear()
        try:
            found = [self._masks(model, number) for number in range(len(self._frames))]
        finally:
            model.train(was_training)
        ious = [_ious(said, frame.masks) for said, frame in zip(found, self._frames, strict=True)]
        return Measured(float(np.concatenate(ious).mean()), _preview(self._frames[0], found[0]))

    def _masks(self, model: SAM2Base, number: int) -> NDArray[np.bool_]:
        """What the model says (N, y, x)."""
        frame = self._frames[number]
        device, size = next(model.parameters()).device, model.input_size
        if number not in self._kept:
            self._kept[number] = encoded(model, input_image(frame.image, size)[None].to(device))
        features = self._kept[number]
        height, width = frame.masks.shape[1:]
        scale = torch.tensor([size[1] / width, size[0] / height])
        masks = []
        for clicks in torch.from_numpy(frame.clicks).split(TOGETHER):
            points = PointPrompts(
                (clicks * scale)[:, None].to(device), torch.ones(len(clicks), 1, dtype=torch.int32).to(device)
            )
            step = candidates(decode_prompts(model, repeated(features, len(clicks)), points, None))
            best = step.predicted_ious.argmax(dim=1)[:, None, None, None]
            logits = step.masks.take_along_dim(best, dim=1).float()
            whole = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[:, 0]
            masks.append((whole > 0).cpu().numpy())
        return np.concatenate(masks)


def _ious(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    both = np.count_nonzero(said & truth, axis=(1, 2))
    either = np.count_nonzero(said | truth, axis=(1, 2))
    return both / np.maximum(either, 1)


def _preview(frame: ClickedFrame, said: NDArray[np.bool_]) -> NDArray[np.uint8]:
    step = -(-max(frame.image.shape[:2]) // PREVIEW_SIDE)
    picture = frame.image[::step, ::step].astype(np.float32) * 0.6
    picture[np.logical_or.reduce(said)[::step, ::step], 1] += 100
    picture[np.logical_or.reduce(frame.masks)[::step, ::step], 0] += 100
    return picture.clip(0, 255).astype(np.uint8)

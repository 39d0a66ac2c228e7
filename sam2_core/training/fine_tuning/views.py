"""Labelled frames as the network is shown them: cropped, turned, brighter or darker; encoded once where possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import TrainingVideo
from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD
from sam2_core.model import ImageFeatures, SAM2Base
from sam2_core.training.fine_tuning.labelled_frames import LabelledFrames

#: Objects of fewer pixels at the model's input size are not asked for.
SMALLEST_AREA = 4
#: Features kept in memory, in bytes.
KEPT_BYTES = 1 << 30


@dataclass(frozen=True)
class Window:
    """Frames of a video that are shown together.

    Attributes
    ----------
    video : TrainingVideo
    frames : tuple of int
    """

    video: TrainingVideo
    frames: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """A window as it is shown once or more often.

    Attributes
    ----------
    images : Tensor (T, 1, 3, H, W), float32
        Normalised, at the model's input size.
    labels : Tensor (T, 1, H, W), int64
        0 is background.
    features : ImageFeatures or None
        Of the T images, where the encoder does not change.
    """

    images: Tensor
    labels: Tensor
    features: ImageFeatures | None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return sum(level.nbytes for level in (self.features.maps if self.features else ())) + self.images.nbytes

    def objects(self, frame: int) -> list[int]:
        """Labels that are large enough on a frame to be asked for."""
        numbers, areas = torch.unique(self.labels[frame], return_counts=True)
        pairs = zip(numbers.tolist(), areas.tolist(), strict=True)
        return [number for number, area in pairs if number and area >= SMALLEST_AREA]


def windows_of(model: SAM2Base, videos: Sequence[TrainingVideo], length: int = 1) -> list[Window]:
    """Every run of labelled frames that begins with an object that can be seen.

    In a stack along two axes, such as z-stacks over time, a run stays at one position on the first axis.

    Parameters
    ----------
    model : SAM2Base
        Says how large an object has to be.
    videos : sequence of TrainingVideo
    length : int
        Frames of a window.

    Raises
    ------
    InvalidInputError
        There is none.
    """
    found = []
    for video in videos:
        for first in range(len(video) - length + 1):
            frames = tuple(range(first, first + length))
            if not _is_run(video, frames):
                continue
            if _can_be_seen(model, video, first) and all(video.masks(frame) is not None for frame in frames[1:]):
                found.append(Window(video, frames))
    if not found:
        what = "no frame has" if length == 1 else f"no {length} labelled frames in a row begin with"
        raise InvalidInputError(
            f"There is nothing to learn from: {what} a labelled object of a pixel or more at the model's input size, "
            f"{tuple(model.input_size)}."
        )
    return found


def _is_run(video: TrainingVideo, frames: Sequence[int]) -> bool:
    """Whether consecutive frames follow each other in the picture too."""
    grid = video.stack.grid if isinstance(video, LabelledFrames) else None
    return grid is None or frames[-1] in grid.line(grid.axes[1], frames[0])


class Views:
    """Views of windows, drawn at random; a bounded number of them is made and encoded, and then shown again.

    New views are made while training goes on, so that it begins at once and a short budget is not spent on encoding.

    Parameters
    ----------
    model : SAM2Base
    windows : sequence of Window
    most : int
        Views of each window.
    are_kept : bool
        Encode each view once and keep its features: the encoder does not change. Otherwise each is new.
    """

    def __init__(self, model: SAM2Base, windows: Sequence[Window], most: int, *, are_kept: bool = True) -> None:
        self._model = model
        self._windows = windows
        self._are_kept = are_kept
        self._most = most * len(windows)
        self._kept: list[View] = []
        self._made = 0

    def draw(self, random: np.random.Generator) -> View:
        """A view in which something can be seen."""
        for _ in range(100):
            # the first of each window first, then one new view for each that is shown again
            is_new = self._made < len(self._windows) or (self._made < self._most and random.random() < 0.5)
            if self._are_kept and self._kept and not is_new:
                return self._kept[int(random.integers(len(self._kept)))]
            view = self._make(random)
            if view.objects(0):
                if self._are_kept:
                    self._keep(view)
                return view
        raise InvalidInputError("There is nothing to learn from: no object can be seen at the model's input size.")

    def _keep(self, view: View) -> None:
        self._kept.append(view)
        self._most = max(1, min(self._most, KEPT_BYTES // view.size))

    def _make(self, random: np.random.Generator) -> View:
        window = self._windows[self._made % len(self._windows)]
        is_first = self._made < len(self._windows)
        self._made += 1
        change = unchanged if is_first else drawn_change(random)
        device, size = next(self._model.parameters()).device, self._model.input_size
        shown = [change(window.video.image(f), label_map(window.video, f, random)) for f in window.frames]
        images = torch.stack([input_image(image, size) for image, _ in shown])[:, None].to(device)
        labels = torch.stack([_resized_labels(labels, size) for _, labels in shown])[:, None]
        features = encoded(self._model, images[:, 0]) if self._are_kept else None
        return View(images, labels, features)


Change = Callable[[NDArray[np.uint8], NDArray[np.int64]], tuple[NDArray[np.uint8], NDArray[np.int64]]]


def unchanged(image: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A frame as it is."""
    return image, labels


def drawn_change(random: np.random.Generator) -> Change:
    """A crop, a turn and a change of brightness, the same for all frames of a window."""
    share, turns, flips = float(random.uniform(0.6, 1.0)) if random.random() < 0.6 else 1.0, 0, random.random() < 0.5
    turns = int(random.integers(4))
    top, left = random.random(2).tolist()
    gamma, gain = float(np.exp(random.normal(0, 0.2))), float(random.uniform(0.75, 1.1))

    def change(image: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        height, width = (max(1, round(share * side)) for side in labels.shape)
        y, x = round(top * (labels.shape[0] - height)), round(left * (labels.shape[1] - width))
        image, labels = image[y : y + height, x : x + width], labels[y : y + height, x : x + width]
        if flips:
            image, labels = image[:, ::-1], labels[:, ::-1]
        table = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
        return table[np.rot90(image, turns)], np.rot90(labels, turns)

    return change


def label_map(video: TrainingVideo, frame: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The labels of a frame (y, x); where masks overlap, a random one lies on top."""
    masks = list((video.masks(frame) or {}).items())
    labels = np.zeros(video.image(frame).shape[:2], np.int64)
    for number in random.permutation(len(masks)).tolist():
        labels[masks[number][1]] = masks[number][0]
    return labels


def input_image(image: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """A picture (y, x, rgb) as the network takes it: (3, H, W) float32, resized and normalised."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
    pixels = F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)[0]
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_STD))
    return (pixels - mean) / deviation


@torch.no_grad()
def encoded(model: SAM2Base, images: Tensor) -> ImageFeatures:
    """Features of images (B, 3, H, W), as in use."""
    was_training = model.training
    model.eval()
    try:
        return model.forward_image(images)
    finally:
        model.train(was_training)


def encoder_learns(model: SAM2Base) -> bool:
    """Whether features that were computed before may be out of date."""
    decoder = model.sam_mask_decoder
    parts = [
        model.image_encoder,
        *(getattr(decoder, name) for name in ("conv_s0", "conv_s1") if hasattr(decoder, name)),
    ]
    return any(parameter.requires_grad for part in parts for parameter in part.parameters())


def _resized_labels(labels: NDArray[np.int64], size: tuple[int, int]) -> Tensor:
    numbers = torch.from_numpy(np.ascontiguousarray(labels)).double()[None, None]
    return F.interpolate(numbers, size, mode="nearest-exact")[0, 0].long()


def _can_be_seen(model: SAM2Base, video: TrainingVideo, frame: int) -> bool:
    """Whether a frame has an object of at least a few pixels at the model's input size."""
    for mask in (video.masks(frame) or {}).values():
        area = np.prod([size / side for side, size in zip(mask.shape, model.input_size, strict=True)])
        if np.count_nonzero(mask) * area >= SMALLEST_AREA:
            return True
    return False

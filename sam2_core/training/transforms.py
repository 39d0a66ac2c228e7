"""Transforms of training videos: the same for all frames, or drawn anew for each.

They draw from Python's ``random`` and torch's global random numbers in the official order: the same seeds give the
official result. Pictures are PIL images until :class:`ToTensorAPI`; masks are uint8 tensors (H, W), or None.
"""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import ColorJitter as JitterParameters
from torchvision.transforms import InterpolationMode
from torchvision.transforms import RandomAffine as AffineParameters
from torchvision.transforms.v2 import functional as F

from sam2_core.errors import InvalidInputError
from sam2_core.training.batch import Frame, VideoDatapoint

_log = logging.getLogger(__name__)


class VideoTransform(ABC):
    """A transform with something random in it.

    Parameters
    ----------
    consistent_transform : bool
        Draw once for all frames of a video.
    """

    def __init__(self, consistent_transform: bool) -> None:
        self.consistent_transform = consistent_transform

    @abstractmethod
    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw what :meth:`apply` needs; None for leaving frames as they are."""

    @abstractmethod
    def apply(self, frame: Frame, drawn: Any) -> None:
        """Change a frame and its masks."""

    def __call__(self, datapoint: VideoDatapoint, **kwargs: Any) -> VideoDatapoint:
        """Change all frames of a datapoint, in place."""
        drawn = self.draw(datapoint) if self.consistent_transform else None
        for frame in datapoint.frames:
            chosen = drawn if self.consistent_transform else self.draw(datapoint)
            if chosen is not None:
                self.apply(frame, chosen)
        return datapoint


def change_masks(frame: Frame, change: Callable[[Tensor], Tensor]) -> None:
    """Replace each mask (H, W) that there is."""
    for each in frame.objects:
        if each.segment is not None:
            each.segment = change(each.segment)


def picture_size(picture: Any) -> tuple[int, int]:
    """Height and width of a PIL image or a tensor."""
    if isinstance(picture, Image.Image):
        return picture.height, picture.width
    return int(picture.shape[-2]), int(picture.shape[-1])


def resize_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a mask (H, W) bilinearly: a pixel belongs to it where at least half of it does."""
    resized: Tensor = F.resize(mask[None, None].float(), list(size), antialias=True)
    return resized[0, 0].round().to(mask.dtype)


class RandomHorizontalFlip(VideoTransform):
    """Mirror left and right.

    Parameters
    ----------
    consistent_transform : bool
    p : float
        How often.
    """

    def __init__(self, consistent_transform: bool, p: float = 0.5) -> None:
        super().__init__(consistent_transform)
        self.p = p

    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw whether to."""
        return True if random.random() < self.p else None

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Mirror a frame."""
        frame.data = F.horizontal_flip(frame.data)
        change_masks(frame, F.horizontal_flip)


class RandomResizeAPI(VideoTransform):
    """Resize to one of several sizes.

    Parameters
    ----------
    sizes : int, or sequence of int or (int, int)
        Shorter side in pixels, or width and height.
    consistent_transform : bool
    max_size : int, optional
        Largest longer side.
    square : bool
        Make both sides ``sizes`` long, whatever the proportions.
    v2 : bool
        Pictures are tensors already.
    """

    def __init__(
        self,
        sizes: int | Iterable[Any],
        consistent_transform: bool,
        max_size: int | None = None,
        square: bool = False,
        v2: bool = False,
    ) -> None:
        super().__init__(consistent_transform)
        self.sizes = [sizes] if isinstance(sizes, int) else list(sizes)
        self.max_size = max_size
        self.square = square
        self.v2 = v2

    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw a size."""
        return random.choice(self.sizes)

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Resize a frame."""
        if self.square:
            size = (drawn, drawn)
        elif isinstance(drawn, Sequence):
            size = (drawn[1], drawn[0])
        else:
            size = _shorter_side(picture_size(frame.data), drawn, self.max_size)
        frame.data = F.resize(frame.data, list(size), antialias=True)
        change_masks(frame, lambda mask: resize_mask(mask, size))
        frame.size = size


def _shorter_side(now: tuple[int, int], side: float, longest: int | None) -> tuple[int, int]:
    """Height and width whose shorter one is ``side``, proportions kept."""
    short, long = min(now), max(now)
    if longest is not None and long / short * side > longest:
        side = longest * short / long
    if short == side:
        return now
    whole = round(side)
    return (round(side * now[0] / now[1]), whole) if now[1] < now[0] else (whole, round(side * now[1] / now[0]))


class ToTensorAPI:
    """Pictures to tensors (3, H, W): float32 from 0 to 1, or with ``v2`` uint8."""

    def __init__(self, v2: bool = False) -> None:
        self.v2 = v2

    def __call__(self, datapoint: VideoDatapoint, **kwargs: Any) -> VideoDatapoint:
        """Change all frames of a datapoint, in place."""
        for frame in datapoint.frames:
            pixels = F.pil_to_tensor(frame.data)
            frame.data = pixels if self.v2 else pixels.float() / 255
        return datapoint


class NormalizeAPI:
    """Subtract a mean and divide by a deviation, for each channel.

    Parameters
    ----------
    mean, std : sequence of float
        Of values from 0 to 1.
    v2 : bool
        Tensors are uint8 still.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], v2: bool = False) -> None:
        self.mean = list(mean)
        self.std = list(std)
        self.v2 = v2

    def __call__(self, datapoint: VideoDatapoint, **kwargs: Any) -> VideoDatapoint:
        """Change all frames of a datapoint, in place."""
        for frame in datapoint.frames:
            if self.v2:
                frame.data = F.to_dtype(frame.data, torch.float32, scale=True)
            frame.data = F.normalize(frame.data, self.mean, self.std)
        return datapoint


class ComposeAPI:
    """Transforms one after another."""

    def __init__(self, transforms: Sequence[Callable[..., VideoDatapoint]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, datapoint: VideoDatapoint, **kwargs: Any) -> VideoDatapoint:
        """Apply all."""
        for transform in self.transforms:
            datapoint = transform(datapoint, **kwargs)
        return datapoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.transforms))})"


class RandomGrayscale(VideoTransform):
    """Take the colours away.

    Parameters
    ----------
    consistent_transform : bool
    p : float
        How often.
    """

    def __init__(self, consistent_transform: bool, p: float = 0.5) -> None:
        super().__init__(consistent_transform)
        self.p = p

    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw whether to."""
        return True if random.random() < self.p else None

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Change a frame."""
        frame.data = F.rgb_to_grayscale(frame.data, num_output_channels=3)


class ColorJitter(VideoTransform):
    """Change brightness, contrast, saturation and hue, in random order.

    Parameters
    ----------
    consistent_transform : bool
    brightness, contrast, saturation : float or (float, float)
        Factors from 1 - value to 1 + value, or from a lower to an upper one.
    hue : float, (float, float) or None
        Shift, of the whole circle.
    """

    def __init__(self, consistent_transform: bool, brightness: Any, contrast: Any, saturation: Any, hue: Any) -> None:
        super().__init__(consistent_transform)
        self.brightness, self.contrast, self.saturation = (
            list(value) if isinstance(value, Sequence) else [max(0, 1 - value), 1 + value]
            for value in (brightness, contrast, saturation)
        )
        self.hue = hue if hue is None else list(hue) if isinstance(hue, Sequence) else [-hue, hue]

    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw an order and factors."""
        order, *factors = JitterParameters.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        return [(int(which), factors[int(which)]) for which in order]

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Change a frame."""
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for which, factor in drawn:
            if factor is not None:
                frame.data = changes[which](frame.data, factor)


class RandomAffine:
    """Turn, move, scale and shear.

    Parameters
    ----------
    degrees : float or (float, float)
    consistent_transform : bool
    scale, translate : (float, float), optional
    shear : float or sequence of float, optional
    image_mean : (int, int, int)
        Colour of what comes into the picture.
    log_warning : bool
        Say when no try was good.
    num_tentatives : int
        Tries: one that moves an object out of the first frame is not good, and after the last the video stays as it
        is.
    image_interpolation : {"bicubic", "bilinear"}
    drop_objects : bool
        An object that leaves the first frame is left out of the video, as long as another one stays, rather than the
        transform: with many objects in a picture one is always at its border.
    """

    def __init__(
        self,
        degrees: Any,
        consistent_transform: bool,
        scale: Any = None,
        translate: Any = None,
        shear: Any = None,
        image_mean: Sequence[int] = (123, 116, 103),
        log_warning: bool = True,
        num_tentatives: int = 1,
        image_interpolation: str = "bicubic",
        drop_objects: bool = False,
    ) -> None:
        if image_interpolation not in ("bicubic", "bilinear"):
            raise InvalidInputError(f'image_interpolation is "bicubic" or "bilinear"; got {image_interpolation!r}')
        self.degrees = list(degrees) if isinstance(degrees, Sequence) else [-degrees, degrees]
        self.scale = None if scale is None else list(scale)
        self.translate = None if translate is None else list(translate)
        self.shear = list(shear) if isinstance(shear, Sequence) else [-shear, shear] if shear else None
        self.fill = list(image_mean)
        self.consistent_transform = consistent_transform
        self.log_warning = log_warning
        self.num_tentatives = num_tentatives
        self.interpolation = InterpolationMode(image_interpolation)
        self.drop_objects = drop_objects

    def __call__(self, datapoint: VideoDatapoint, **kwargs: Any) -> VideoDatapoint:
        """Change all frames of a datapoint, in place, or none."""
        for _ in range(self.num_tentatives):
            if self._transformed(datapoint):
                return datapoint
        if self.log_warning:
            _log.warning("Affine transform left out: in %d tries an object left the first frame", self.num_tentatives)
        return datapoint

    def _transformed(self, datapoint: VideoDatapoint) -> bool:
        height, width = picture_size(datapoint.frames[0].data)
        parameters: Any = None
        gone: set[int] = set()
        for number, frame in enumerate(datapoint.frames):
            if parameters is None or not self.consistent_transform:
                parameters = AffineParameters.get_params(
                    self.degrees, self.translate, self.scale, self.shear, [width, height]
                )
            masks = []
            for each in frame.objects:
                mask = each.segment
                if mask is not None:
                    mask = F.affine(mask[None], *parameters, interpolation=InterpolationMode.NEAREST, fill=[0.0])[0]
                    if number == 0 and not bool(mask.any()):
                        gone.add(each.object_id)
                masks.append(mask)
            if gone and (not self.drop_objects or len(gone) == len(frame.objects)):
                return False
            for each, mask in zip(frame.objects, masks, strict=True):
                each.segment = mask
            frame.data = F.affine(frame.data, *parameters, interpolation=self.interpolation, fill=self.fill)
        for frame in datapoint.frames:
            frame.objects = [each for each in frame.objects if each.object_id not in gone]
        return True


class RandomMosaicVideoAPI(VideoTransform):
    """Show the video several times in a grid; the objects to follow are in one of the tiles.

    Parameters
    ----------
    prob : float
        How often.
    grid_h, grid_w : int
        Rows and columns.
    use_random_hflip : bool
        Mirror some of the tiles.
    """

    def __init__(self, prob: float = 0.15, grid_h: int = 2, grid_w: int = 2, use_random_hflip: bool = False) -> None:
        super().__init__(consistent_transform=True)
        self.prob = prob
        self.grid_h = grid_h
        self.grid_w = grid_w
        self.use_random_hflip = use_random_hflip

    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw whether to, the tile of the objects, and which tiles are mirrored."""
        if random.random() > self.prob:
            return None
        target = random.randint(0, self.grid_h - 1), random.randint(0, self.grid_w - 1)
        if self.use_random_hflip:
            return target, torch.rand(self.grid_h, self.grid_w) < 0.5
        return target, torch.zeros(self.grid_h, self.grid_w, dtype=torch.bool)

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Change a frame."""
        target, mirrored = drawn
        size = picture_size(frame.data)
        tiles = {
            (row, column): (
                slice(row * size[0] // self.grid_h, (row + 1) * size[0] // self.grid_h),
                slice(column * size[1] // self.grid_w, (column + 1) * size[1] // self.grid_w),
            )
            for row in range(self.grid_h)
            for column in range(self.grid_w)
        }
        whole = Image.new("RGB", size[::-1]) if isinstance(frame.data, Image.Image) else torch.zeros_like(frame.data)
        for place, (rows, columns) in tiles.items():
            small = F.resize(frame.data, [rows.stop - rows.start, columns.stop - columns.start], antialias=True)
            if mirrored[place]:
                small = F.horizontal_flip(small)
            if isinstance(whole, Image.Image):
                whole.paste(small, (columns.start, rows.start))
            else:
                whole[:, rows, columns] = small
        frame.data = whole
        rows, columns = tiles[target]

        def put(mask: Tensor) -> Tensor:
            small = resize_mask(mask, (rows.stop - rows.start, columns.stop - columns.start))
            result = torch.zeros_like(mask)
            result[rows, columns] = F.horizontal_flip(small) if mirrored[target] else small
            return result

        change_masks(frame, put)


def pad(datapoint: VideoDatapoint, index: int, padding: Sequence[int], v2: bool = False) -> VideoDatapoint:
    """Add black pixels around a frame, in place.

    Parameters
    ----------
    datapoint : VideoDatapoint
    index : int
        Which frame.
    padding : (int, int) or (int, int, int, int)
        Right and bottom, or left, top, right and bottom.
    v2 : bool
        Accepted for official code.
    """
    left, top, right, bottom = padding if len(padding) == 4 else (0, 0, *padding)
    frame = datapoint.frames[index]
    height, width = picture_size(frame.data)
    frame.data = F.pad(frame.data, [left, top, right, bottom])
    change_masks(frame, lambda mask: F.pad(mask[None], [left, top, right, bottom])[0])
    frame.size = (height + top + bottom, width + left + right)
    return datapoint

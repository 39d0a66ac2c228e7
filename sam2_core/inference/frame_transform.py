"""The one normaliser and resizer between pixels and the model.

Images, frames of a folder and frames of a video are resampled differently by the official code, and its checkpoints'
published numbers depend on it. Here the way is a named parameter; everything else is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.inference.input_images import ImageLike, image_pixels

Resampling: TypeAlias = Literal["image", "frame", "decoder"]
FrameSize: TypeAlias = Sequence[int]  # (height, width) in pixels

# Mean and standard deviation of ImageNet's RGB channels on a scale of 0 to 1, as the encoders were pre-trained.
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)

_PIL_FILTERS = {"frame": Image.Resampling.BICUBIC, "decoder": Image.Resampling.BILINEAR}


class FrameTransform:
    """Resize an image to the model's input, normalise it, and carry prompts and masks between the two sizes.

    Parameters
    ----------
    input_size : int or (int, int)
        Model input in pixels: one side, or (height, width).
    resampling : {"image", "frame", "decoder"}
        How pixels are resampled. ``"image"``: bilinear with antialiasing in floating point, as the official image
        predictor. ``"frame"``: bicubic on 8-bit values (PIL's default), as the official loader of frame folders.
        ``"decoder"``: bilinear on 8-bit values, as a video decoder that scales while it decodes.
    mean, std : sequence of 3 float
        Mean and standard deviation of each RGB channel on a scale of 0 to 1.

    Raises
    ------
    InvalidInputError
        Unknown `resampling`, or an `input_size` that is not positive.
    """

    def __init__(
        self,
        input_size: int | Sequence[int],
        resampling: Resampling = "image",
        mean: Sequence[float] = IMAGE_MEAN,
        std: Sequence[float] = IMAGE_STD,
    ) -> None:
        height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
        if height < 1 or width < 1:
            raise InvalidInputError(f"input_size is a positive number of pixels, got {input_size}")
        if resampling not in get_args(Resampling):
            raise InvalidInputError(f"resampling is one of {', '.join(get_args(Resampling))}; got {resampling!r}")
        self.input_size = (int(height), int(width))
        self.resampling = resampling
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)

    @property
    def description(self) -> str:
        """Everything that this transform's results depend on beside the image, in words that never change."""
        height, width = self.input_size
        return f"{self.resampling} {height}x{width} mean {self.mean} std {self.std}"

    def __call__(self, image: ImageLike, device: torch.device | str = "cpu") -> Tensor:
        """Turn one image into model input.

        Parameters
        ----------
        image : ndarray or PIL.Image.Image
            See :func:`~sam2_core.inference.input_images.image_pixels` for what is accepted.
        device : torch.device or str
            Where the result is wanted. With ``resampling="image"`` the resizing happens there as well.

        Returns
        -------
        Tensor
            (RGB, y, x) float32, normalised, of `input_size`.
        """
        pixels = image_pixels(image)
        if self.resampling != "image":
            pixels = self._resize_with_pil(pixels)
        tensor = _channels_first(pixels, torch.device(device))
        if tuple(tensor.shape[-2:]) != self.input_size:
            tensor = F.interpolate(tensor[None], self.input_size, mode="bilinear", align_corners=False, antialias=True)[
                0
            ]
        # A greyscale image was resized once, not three times; the channels differ from here on.
        mean = tensor.new_tensor(self.mean)[:, None, None]
        std = tensor.new_tensor(self.std)[:, None, None]
        return (tensor - mean).div_(std)

    def forward_batch(self, images: Sequence[ImageLike], device: torch.device | str = "cpu") -> Tensor:
        """Turn several images, of any sizes, into one batch of model input: (B, RGB, y, x) float32."""
        return torch.stack([self(image, device) for image in images])

    def transform_coords(self, coords: Tensor, normalize: bool = False, orig_hw: FrameSize | None = None) -> Tensor:
        """Scale points to model input.

        Parameters
        ----------
        coords : Tensor
            (..., 2), x before y. Pixels of the image when `normalize`, else fractions of its size (0 to 1).
        normalize : bool
            Whether `coords` are pixels of the image.
        orig_hw : (int, int), optional
            Height and width of the image in pixels; needed when `normalize`.

        Returns
        -------
        Tensor
            (..., 2), x before y, in pixels of the model input.
        """
        if normalize:
            if orig_hw is None:
                raise InvalidInputError("normalize=True needs orig_hw, the (height, width) of the image")
            coords = coords / coords.new_tensor((orig_hw[1], orig_hw[0]))
        return coords * coords.new_tensor((self.input_size[1], self.input_size[0]))

    def transform_boxes(self, boxes: Tensor, normalize: bool = False, orig_hw: FrameSize | None = None) -> Tensor:
        """Scale boxes (..., 4) as x0, y0, x1, y1 to model input: (B, 2, 2), the two corners, x before y."""
        return self.transform_coords(boxes.reshape(-1, 2, 2), normalize, orig_hw)

    def postprocess_masks(self, masks: Tensor, orig_hw: FrameSize) -> Tensor:
        """Scale mask logits (B, M, h, w) bilinearly to an image of `orig_hw` (height, width); float32."""
        size = (int(orig_hw[0]), int(orig_hw[1]))
        return F.interpolate(masks.float(), size, mode="bilinear", align_corners=False)

    def _resize_with_pil(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Resize (y, x) or (y, x, RGB) pixels to `input_size` with PIL's filter for this resampling."""
        height, width = self.input_size
        if pixels.shape[:2] == (height, width):
            return pixels
        filter_ = _PIL_FILTERS[self.resampling]
        if pixels.dtype == np.uint8:
            return np.array(Image.fromarray(pixels).resize((width, height), filter_))
        # PIL resizes floating point one channel at a time; bicubic overshoots, pixels stay within 0-1.
        channels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        resized = [
            np.asarray(Image.fromarray(np.ascontiguousarray(channels[:, :, index])).resize((width, height), filter_))
            for index in range(channels.shape[2])
        ]
        merged: npt.NDArray[np.float32] = resized[0] if pixels.ndim == 2 else np.stack(resized, axis=-1)
        return merged.clip(0.0, 1.0)


def _channels_first(pixels: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """Pixels (y, x) or (y, x, RGB), uint8 or float32 → (1 or 3, y, x) float32 in 0-1 on `device`."""
    tensor = torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy()).to(device)
    tensor = tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)
    if tensor.dtype == torch.uint8:
        return tensor.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    return tensor.contiguous()

"""What microscopes do to pictures, as transforms of training videos.

Pictures are tensors (3, H, W) from 0 to 1, between :class:`~sam2_core.training.transforms.ToTensorAPI` and the
normalisation. Random numbers come from Python's ``random`` and torch's global ones.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.training.batch import Frame, VideoDatapoint
from sam2_core.training.transforms import VideoTransform, change_masks, picture_size


class MicroscopyTransform(VideoTransform):
    """A transform that is applied now and then, to tensors.

    Parameters
    ----------
    p : float
        How often, from 0 to 1.
    consistent_transform : bool
        Draw once for all frames.
    """

    def __init__(self, p: float = 0.5, consistent_transform: bool = True) -> None:
        super().__init__(consistent_transform)
        if not 0 <= p <= 1:
            raise InvalidInputError(f"p is a probability, from 0 to 1; got {p}")
        self.p = p

    def draw(self, datapoint: VideoDatapoint) -> Any:
        """Draw whether to, and how."""
        for frame in datapoint.frames:
            if not isinstance(frame.data, Tensor) or not frame.data.is_floating_point():
                raise InvalidTypeError(
                    f"{type(self).__name__} needs pictures as float tensors from 0 to 1: put it after ToTensorAPI"
                )
        return self.draw_how(datapoint) if random.random() < self.p else None

    @abstractmethod
    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Draw what :meth:`apply` needs."""


class Noise(MicroscopyTransform):
    """Photon noise and the camera's own.

    Parameters
    ----------
    photons : (float, float)
        Photons of a white pixel; few are noisy. Drawn evenly on a logarithmic scale.
    camera : (float, float)
        Deviation of what the camera adds, 1 being white.
    p, consistent_transform
        The noise of every frame is its own either way; how strong it is, is drawn.
    """

    def __init__(
        self,
        photons: tuple[float, float] = (30.0, 1000.0),
        camera: tuple[float, float] = (0.0, 0.05),
        p: float = 0.5,
        consistent_transform: bool = True,
    ) -> None:
        super().__init__(p, consistent_transform)
        self.photons, self.camera = tuple(photons), tuple(camera)

    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Draw how strong it is."""
        low, high = self.photons
        return low * (high / low) ** random.random(), random.uniform(*self.camera)

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Add noise, the same in all channels of a grey picture."""
        photons, camera = drawn
        pixels = frame.data
        grey = bool(torch.equal(pixels[0], pixels[1]) and torch.equal(pixels[0], pixels[2]))
        signal = pixels[:1] if grey else pixels
        noisy = torch.poisson(signal.clamp(min=0) * photons) / photons + camera * torch.randn(signal.shape)
        frame.data = noisy.clamp(0, 1).expand_as(pixels).clone()


class Blur(MicroscopyTransform):
    """Out of focus: a Gaussian.

    Parameters
    ----------
    sigma : (float, float)
        Pixels.
    p, consistent_transform
    """

    def __init__(
        self, sigma: tuple[float, float] = (0.3, 2.5), p: float = 0.3, consistent_transform: bool = True
    ) -> None:
        super().__init__(p, consistent_transform)
        self.sigma = tuple(sigma)

    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Draw its width."""
        return random.uniform(*self.sigma)

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Blur a frame."""
        side = 2 * int(3 * drawn + 0.5) + 1
        frame.data = F.gaussian_blur(frame.data, [max(side, 3)] * 2, [drawn, drawn])


class Gamma(MicroscopyTransform):
    """Brighter or darker middle tones, and now and then a negative.

    Parameters
    ----------
    gamma : (float, float)
        Exponent, drawn evenly on a logarithmic scale.
    invert : float
        How often dark and bright change places.
    p, consistent_transform
    """

    def __init__(
        self,
        gamma: tuple[float, float] = (0.5, 2.0),
        invert: float = 0.0,
        p: float = 0.5,
        consistent_transform: bool = True,
    ) -> None:
        super().__init__(p, consistent_transform)
        self.gamma, self.invert = tuple(gamma), invert

    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Draw an exponent and whether to invert."""
        low, high = self.gamma
        return low * (high / low) ** random.random(), random.random() < self.invert

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Change a frame."""
        exponent, inverted = drawn
        pixels = frame.data.clamp(0, 1)
        frame.data = (1 - pixels if inverted else pixels) ** exponent


class Anisotropy(MicroscopyTransform):
    """Fewer pixels along one axis, as in a section along the optical axis, then as many as before.

    Parameters
    ----------
    factor : (float, float)
        How many times fewer.
    p, consistent_transform
    """

    def __init__(
        self, factor: tuple[float, float] = (1.5, 4.0), p: float = 0.3, consistent_transform: bool = True
    ) -> None:
        super().__init__(p, consistent_transform)
        self.factor = tuple(factor)

    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Draw a factor and an axis."""
        return random.uniform(*self.factor), random.randrange(2)

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Change a frame; the masks stay."""
        factor, axis = drawn
        size = list(picture_size(frame.data))
        coarse = list(size)
        coarse[axis] = max(1, round(size[axis] / factor))
        frame.data = F.resize(F.resize(frame.data, coarse, antialias=True), size, antialias=False)


class SliceDropout(MicroscopyTransform):
    """Slices that are missing: dark, or a copy of the one before. Never the first; masks stay.

    Parameters
    ----------
    share : float
        How likely each frame is to be missing, where any are.
    p, consistent_transform
        Which frames are missing is drawn for each.
    """

    def __init__(self, share: float = 0.15, p: float = 0.2, consistent_transform: bool = True) -> None:
        super().__init__(p, consistent_transform)
        self.share = share

    def __call__(self, datapoint: VideoDatapoint, **kwargs: Any) -> VideoDatapoint:
        """Change some frames of a datapoint, in place."""
        if self.draw(datapoint) is not None:
            for before, frame in zip(datapoint.frames, datapoint.frames[1:], strict=False):
                if random.random() < self.share:
                    self.apply(frame, before if random.random() < 0.5 else None)
        return datapoint

    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Nothing further: frames are chosen one by one."""
        return True

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Replace a frame by another one, or by darkness."""
        frame.data = torch.zeros_like(frame.data) if drawn is None else drawn.data.clone()


class Elastic(MicroscopyTransform):
    """Bend pictures and masks.

    Parameters
    ----------
    strength : float
        Largest shift, of the shorter side.
    cells : int
        Grid of random shifts between which is interpolated.
    p, consistent_transform
    """

    def __init__(
        self, strength: float = 0.04, cells: int = 4, p: float = 0.3, consistent_transform: bool = True
    ) -> None:
        super().__init__(p, consistent_transform)
        self.strength, self.cells = strength, cells

    def draw_how(self, datapoint: VideoDatapoint) -> Any:
        """Draw shifts: (1, 2, H, W) in pixels."""
        height, width = picture_size(datapoint.frames[0].data)
        coarse = 2 * torch.rand(1, 2, self.cells, self.cells) - 1
        shift = nnf.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
        return self.strength * min(height, width) * shift

    def apply(self, frame: Frame, drawn: Any) -> None:
        """Bend a frame; what comes into it repeats its border, and holds no objects."""
        height, width = picture_size(frame.data)
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        place = torch.stack((x + drawn[0, 0], y + drawn[0, 1]), dim=-1)[None]
        size = torch.tensor([width, height])
        # pixel centres from -1 to 1, as grid_sample counts them without align_corners
        grid = (2 * place + 1) / size - 1
        frame.data = nnf.grid_sample(frame.data[None], grid, padding_mode="border", align_corners=False)[0]

        def bend(mask: Tensor) -> Tensor:
            moved = nnf.grid_sample(mask[None, None].float(), grid, mode="nearest", align_corners=False)
            return moved[0, 0].to(mask.dtype)

        change_masks(frame, bend)

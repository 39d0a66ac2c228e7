"""A dense auxiliary head: it teaches the encoder what a cell is at every pixel, and is thrown away after training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.model import ImageFeatures


class DenseHead(nn.Module):
    """Foreground, boundary and offset to the cell's centre at stride 4.

    Parameters
    ----------
    channels : sequence of int
        Channels of the feature maps, finest first.
    width : int
        Channels inside.
    """

    def __init__(self, channels: tuple[int, ...], width: int = 32) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, 4, 1)

    def forward(self, features: ImageFeatures) -> Tensor:
        """Return (B, 4, h, w): logits of foreground and boundary, offset (y, x) to the centre in units of 8 cells."""
        size = features.maps[0].shape[-2:]
        levels = [
            F.interpolate(lateral(level), size, mode="bilinear", align_corners=False)
            for lateral, level in zip(self.laterals, features.maps, strict=True)
        ]
        mixed = self.mix(F.gelu(torch.stack(levels).sum(dim=0)))
        out: Tensor = self.out(F.gelu(mixed))
        return out


def dense_targets(labels: Tensor) -> Tensor:
    """Targets of :class:`DenseHead` from labels (B, H, W): (B, 5, H / 4, W / 4).

    Foreground, boundary (the 3 x 3 neighbourhood holds another label), offset (y, x) to the mean place of the label in
    units of 8 mask cells, and a weight for the offsets (1 in cells).
    """
    small = labels[:, 1::4, 1::4]
    padded = F.pad(small[:, None].float(), (1, 1, 1, 1), mode="replicate")
    highest = F.max_pool2d(padded, 3, 1)[:, 0]
    lowest = -F.max_pool2d(-padded, 3, 1)[:, 0]
    boundary = (highest != lowest).float()
    inside = (small > 0).float()
    batch, height, width = small.shape
    count = int(small.max()) + 1
    index = small + count * torch.arange(batch)[:, None, None]
    y = torch.arange(height, dtype=torch.float32)[None, :, None].expand(batch, -1, width)
    x = torch.arange(width, dtype=torch.float32)[None, None, :].expand(batch, height, -1)
    flat = index.flatten()
    area = torch.bincount(flat, minlength=batch * count).clamp(min=1).float()
    centre = [torch.bincount(flat, weights=axis.flatten(), minlength=batch * count).float() / area for axis in (y, x)]
    offsets = [inside * (middle[index] - axis) / 8.0 for middle, axis in zip(centre, (y, x), strict=True)]
    return torch.stack((inside, boundary, *offsets, inside), dim=1)


def dense_loss(predicted: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of foreground and boundary (classes weighted equally) and distance of offsets: a scalar."""
    total = predicted.new_zeros(())
    for channel in (0, 1):
        truth = targets[:, channel]
        share = truth.mean().clamp(0.02, 0.98)
        weight = 0.5 * truth / share + 0.5 * (1 - truth) / (1 - share)
        total = total + F.binary_cross_entropy_with_logits(predicted[:, channel], truth, weight=weight)
    distance = F.smooth_l1_loss(predicted[:, 2:4], targets[:, 2:4], reduction="none", beta=0.1).sum(dim=1)
    return total + (distance * targets[:, 4]).sum() / targets[:, 4].sum().clamp(min=1.0)

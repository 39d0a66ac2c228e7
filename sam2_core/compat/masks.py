"""The official helpers for masks, points and attention backends."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sam2_core.kernels.connected_components import connected_components


def get_connected_components(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Label masks (N, 1, H, W) of any dtype and measure the components; see :func:`connected_components`."""
    return connected_components(mask if mask.dtype == torch.bool else mask.to(torch.uint8))


def mask_to_box(masks: Tensor) -> Tensor:
    """Find the boxes around masks.

    Parameters
    ----------
    masks : Tensor
        (B, 1, H, W) bool.

    Returns
    -------
    Tensor
        (B, 1, 4) int32: first and last column and row with a pixel, as x0, y0, x1, y1; W, H, -1, -1 for an empty mask.
    """
    sides = [_extent(masks.any(dim=-2)), _extent(masks.any(dim=-1))]
    return torch.stack([side[index] for index in (0, 1) for side in sides], dim=-1)


def concat_points(
    old_point_inputs: Mapping[str, Tensor] | None, new_points: Tensor, new_labels: Tensor
) -> dict[str, Tensor]:
    """Append points (B, N, 2) and labels (B, N) to those of a dict of ``point_coords`` and ``point_labels``."""
    added = {"point_coords": new_points, "point_labels": new_labels}
    if old_point_inputs is None:
        return added
    return {name: torch.cat([old_point_inputs[name], value], dim=1) for name, value in added.items()}


def get_sdpa_settings() -> tuple[bool, bool, bool]:
    """Return whether the GPU is older than Volta (or missing), has flash attention, and needs the math kernel.

    Nothing here depends on it: PyTorch chooses its attention kernel by itself.
    """
    if not torch.cuda.is_available():
        return True, False, True
    major, _ = torch.cuda.get_device_capability(0)
    return major < 7, major >= 8, major < 8


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and last true position along the last axis; its length and -1 where there is none."""
    length = occupied.shape[-1]
    positions = torch.arange(length, dtype=torch.int32, device=occupied.device)
    return torch.where(occupied, positions, length).amin(dim=-1), torch.where(occupied, positions, -1).amax(dim=-1)

"""The official helpers for masks, points and attention backends."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sam2_core.kernels.connected_components import connected_components


def get_connected_components(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Label masks (N, 1, H, W) of any dtype and measure the components; see :func:`connected_components`."""
    return connected_components(mask if mask.dtype == torch.bool else mask.to(torch.uint8))


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

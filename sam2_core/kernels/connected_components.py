"""Connected components of a batch of masks: the torch operator ``sam2::connected_components``.

On a CUDA device it runs connected_components.cu, on any other the library connected-components-3d.
"""

from __future__ import annotations

import warnings
from typing import Any

import cc3d
import numpy as np
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingDependencyError
from sam2_core.kernels.choice import run_kernel
from sam2_core.kernels.cuda_module import CudaModule, cuda_module

OPERATOR = "connected_components"
SOURCE_NAME = "connected_components.cu"
# Areas and labels are int32; the margin keeps the kernel's own index arithmetic inside it as well.
MOST_PIXELS = 2**31 - 2**16
WARP = 32
BLOCK_ROWS = 8
MOST_GRID_ROWS = MOST_GRID_IMAGES = 65535


def connected_components(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Label the 8-connected foreground components of each mask and measure them.

    Registered as the operator ``torch.ops.sam2.connected_components``: usable under ``torch.compile`` and with fake
    tensors. On CUDA the work is queued on the current stream, the whole batch at once, without waiting for it.

    Parameters
    ----------
    masks : Tensor
        (B, 1, H, W), bool or uint8, nonzero is foreground; any device, any size (B, H or W may be 0).

    Returns
    -------
    labels : Tensor
        (B, 1, H, W) int32, on the device of `masks`. 0 is background; the pixels of one component share one positive
        number, which no other component of the same mask has. Numbers are neither consecutive nor the same on all
        devices.
    areas : Tensor
        (B, 1, H, W) int32, pixels. Each foreground pixel holds the area of its component, each background pixel 0.

    Raises
    ------
    InvalidTypeError
        If `masks` is no tensor, or neither bool nor uint8.
    InvalidInputError
        If the shape is not (B, 1, H, W), or a mask has 2**31 pixels or about as many.

    Notes
    -----
    The CUDA path follows Allegretti, Bolelli and Grana (IEEE TPDS 31(2), 2020) and Playne and Hawick (IEEE TPDS 29(6),
    2018); see connected_components.cu. Where ``cuda-bindings`` is missing, CUDA tensors take the way over the CPU, with
    a warning.
    """
    _check(masks)
    labels, areas = torch.ops.sam2.connected_components(masks)
    return labels, areas


def _check(masks: Tensor) -> None:
    if not isinstance(masks, Tensor):
        raise InvalidTypeError(
            f"masks has to be a torch.Tensor (B, 1, H, W) of bool or uint8, got {type(masks).__name__}; "
            "torch.from_numpy turns an array into one"
        )
    if masks.dtype not in (torch.bool, torch.uint8):
        raise InvalidTypeError(
            f"masks has to be bool or uint8, got {masks.dtype}; threshold it first, as in `masks > 0`"
        )
    if masks.ndim != 4 or masks.shape[1] != 1:
        raise InvalidInputError(
            f"masks has to have the shape (B, 1, H, W), got {tuple(masks.shape)}; "
            "(B, M, H, W) becomes that by masks.flatten(0, 1).unsqueeze(1)"
        )
    if masks.shape[2] * masks.shape[3] > MOST_PIXELS:
        raise InvalidInputError(
            f"a mask may have {MOST_PIXELS} pixels at most (areas are int32), got {masks.shape[2]} x {masks.shape[3]}; "
            "label it in tiles"
        )


def label_anywhere(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Label on the CPU, wherever `masks` is; the built-in kernel of all devices but CUDA."""
    labels, areas = (torch.empty(masks.shape, dtype=torch.int32) for _ in range(2))
    if masks.numel():
        for mask, label_map, area_map in zip((masks != 0).cpu(), labels, areas, strict=True):
            label_map.copy_(_label_one(mask))
            flat = label_map.flatten()
            sizes = torch.bincount(flat).to(torch.int32)
            sizes[0] = 0
            torch.index_select(sizes, 0, flat, out=area_map.view(-1))
    return labels.to(masks.device), areas.to(masks.device)


def label_on_cuda(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Label on a CUDA device; its built-in kernel."""
    try:
        module = cuda_module(SOURCE_NAME, masks.get_device())
    except MissingDependencyError as error:
        warnings.warn(f"connected components run on the CPU: {error}", RuntimeWarning, stacklevel=2)
        return label_anywhere(masks)
    with torch.cuda.device(masks.device):
        return _launch(module, masks)


def _label_nothing(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Say what comes out, for fake tensors."""
    _check(masks)
    return _like(masks), _like(masks)


def _label(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Label with the kernel that is chosen for the device."""
    _check(masks)
    built_in = label_on_cuda if masks.is_cuda else label_anywhere
    labels, areas = run_kernel(
        OPERATOR, masks.device.type, built_in, masks, check=lambda found: _require_labels(found, masks)
    )
    return labels, areas


def _require_labels(found: Any, masks: Tensor) -> None:
    """Refuse what a plugin's kernel returned if it cannot be labels and areas."""
    wanted = (masks.shape, torch.int32, masks.device)
    if len(found) != 2 or any((one.shape, one.dtype, one.device) != wanted for one in found):
        raise InvalidTypeError(
            f"a kernel of {OPERATOR} returns labels and areas, int32 of shape {tuple(masks.shape)} on {masks.device}; "
            f"got {[(str(one.dtype), tuple(one.shape), str(one.device)) for one in found]}"
        )


# Not torch.library.custom_op: that imports torch's compiler at the first call, seconds before the first mask.
_library = torch.library.Library("sam2", "FRAGMENT")
_library.define("connected_components(Tensor masks) -> (Tensor, Tensor)", tags=(torch.Tag.pt2_compliant_tag,))
_library.impl(OPERATOR, _label, "CompositeExplicitAutograd")
torch.library.register_fake("sam2::connected_components", _label_nothing, lib=_library)


def _like(masks: Tensor) -> Tensor:
    return torch.empty(masks.shape, dtype=torch.int32, device=masks.device)


def _label_one(mask: Tensor) -> Tensor:
    """Label one (1, H, W) bool mask on the CPU; labels (1, H, W) int32, consecutive from 1."""
    # uint8: the way cc3d 4.1.1 takes for bool arrays loses components (tests/kernels finds it within seconds).
    # uint32, since cc3d has no signed output; its largest label is far below 2**31.
    pixels = mask[0].contiguous().view(torch.uint8).numpy()
    labels = cc3d.connected_components(pixels, connectivity=8, out_dtype=np.uint32)
    return torch.from_numpy(labels.view(np.int32))[None]


def _launch(module: CudaModule, masks: Tensor) -> tuple[Tensor, Tensor]:
    labels, areas = _like(masks), _like(masks)
    if masks.numel() == 0:
        return labels, areas
    masks = masks.contiguous()
    images, _, height, width = masks.shape
    quad_rows, quad_columns = (height + 1) // 2, (width + 1) // 2
    count = images * quad_rows * quad_columns
    parents, sums = torch.empty((2, count), dtype=torch.int32, device=masks.device)
    quads = torch.empty(count, dtype=torch.uint8, device=masks.device)
    block = (WARP, BLOCK_ROWS, 1)
    grid = (
        -(-quad_columns // WARP),
        min(-(-quad_rows // BLOCK_ROWS), MOST_GRID_ROWS),
        min(images, MOST_GRID_IMAGES),
    )
    size = (images, height, width)
    module.launch("start_runs", grid, block, (masks, quads, parents, sums, *size))
    module.launch("merge_runs", grid, block, (quads, parents, *size))
    module.launch("sum_areas", grid, block, (quads, parents, sums, *size))
    module.launch("write_labels", grid, block, (quads, parents, sums, labels, areas, *size))
    return labels, areas

"""Operations that stock torch lacks, each with a CPU and a CUDA path and registered as a torch operator (``sam2::…``).

CUDA sources are ``.cu`` files beside the modules, compiled at first use through NVRTC: no nvcc, no build step.
"""

from sam2_core.kernels.choice import chosen_kernels, use_kernel
from sam2_core.kernels.connected_components import connected_components
from sam2_core.kernels.mask_cleaning import (
    clean_mask_scores,
    fill_holes_in_mask_scores,
    remove_small_regions,
    remove_sprinkles,
)
from sam2_core.kernels.mask_components import mask_components

__all__ = [
    "chosen_kernels",
    "clean_mask_scores",
    "connected_components",
    "fill_holes_in_mask_scores",
    "mask_components",
    "remove_small_regions",
    "remove_sprinkles",
    "use_kernel",
]

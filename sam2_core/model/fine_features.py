"""The finer feature maps of an image in the order in which the mask decoder enlarges pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from sam2_core.errors import InvalidInputError


@dataclass(frozen=True)
class FineFeatures:
    """Maps of stride 8 and 4 whose pixels lie nested: the four sub-pixels of a coarse pixel together, and theirs.

    Bringing the maps into this order costs as much as a sixth of a click: it is done once for an image.

    Attributes
    ----------
    stride8 : Tensor (B, h * w * 4, C / 4)
    stride4 : Tensor (B, h * w * 16, C / 8)
    """

    stride8: Tensor
    stride4: Tensor

    @classmethod
    def nest(cls, high_res_features: Sequence[Tensor]) -> Self:
        """Bring maps of stride 4 and 8, (B, C / 8, 4 h, 4 w) and (B, C / 4, 2 h, 2 w), into nested order.

        Raises
        ------
        InvalidInputError
            Not two maps, the first twice as large as the second.
        """
        if len(high_res_features) != 2:
            raise InvalidInputError(f"expected two maps, of stride 4 and 8, got {len(high_res_features)}")
        stride4, stride8 = high_res_features
        if tuple(stride4.shape[-2:]) != (2 * stride8.shape[-2], 2 * stride8.shape[-1]):
            raise InvalidInputError(
                f"the map of stride 4 is twice as large as that of stride 8 {tuple(stride8.shape[-2:])}, "
                f"got {tuple(stride4.shape[-2:])}"
            )
        height, width = stride8.shape[-2] // 2, stride8.shape[-1] // 2
        coarse = stride8.unflatten(3, (width, 2)).unflatten(2, (height, 2)).permute(0, 2, 4, 3, 5, 1)
        fine = stride4.unflatten(3, (width, 2, 2)).unflatten(2, (height, 2, 2)).permute(0, 2, 5, 3, 6, 4, 7, 1)
        return cls(coarse.reshape(len(stride8), -1, stride8.shape[1]), fine.reshape(len(stride4), -1, stride4.shape[1]))

"""One number of bytes, shared out over what tracking keeps in memory."""

from __future__ import annotations

from dataclasses import dataclass

from sam2_core.cli.byte_count import show_bytes
from sam2_core.errors import InvalidInputError

DEFAULT_BUDGET = 2 * 10**9
#: Low-resolution logits that exist at once for each object of a group: new ones, those shown, those replaced.
_MASKS_AT_ONCE = 3


@dataclass(frozen=True)
class MemoryBudget:
    """What each part of tracking may take, beside the model itself.

    Attributes
    ----------
    total : int
        All of it, in bytes.
    features : int
        Image features of frames, a quarter.
    tracker : int
        The objects' mask memories and the working space of a step, half.
    masks : int
        Masks of the objects of a frame, a quarter; decides how many go together.
    """

    total: int
    features: int
    tracker: int
    masks: int

    @classmethod
    def of(cls, total: int, frame_feature_bytes: int) -> MemoryBudget:
        """Share out a number of bytes.

        Parameters
        ----------
        total : int
        frame_feature_bytes : int
            What the image features of one frame take.

        Raises
        ------
        InvalidInputError
            It is too little for a single object.
        """
        least = 8 * frame_feature_bytes
        if total < least:
            raise InvalidInputError(
                f"A budget of {show_bytes(total)} is too little for this model: the features of one frame take "
                f"{show_bytes(frame_feature_bytes)}, and tracking an object about {show_bytes(least)} in all. Give "
                "at least that to --budget, or choose a smaller model or --image-size."
            )
        quarter = total // 4
        return cls(total, features=quarter, tracker=total - 2 * quarter, masks=quarter)

    def group_size(self, mask_size: tuple[int, int]) -> int:
        """How many objects go together, so that their logits of `mask_size` (height, width) have room; at least one."""
        return max(1, self.masks // (mask_size[0] * mask_size[1] * 4 * _MASKS_AT_ONCE))

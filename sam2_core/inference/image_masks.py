"""What the image predictor says about an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ImageMasks:
    """Masks of one prompt with everything the model says about them.

    For prompts of several objects every array has one more axis in front, the objects.

    Attributes
    ----------
    masks : ndarray of bool
        (M, y, x) at the image's size: M candidates.
    predicted_iou : ndarray of float32
        (M,), the model's estimate of each mask's IoU with the object meant, about 0-1.
    object_score : ndarray of float32
        Without an axis: the probability that the object is there at all, 0-1.
    low_res_logits : ndarray of float32
        (M, h, w), mask logits within ±32 on the model's mask grid; one of them may be the next prompt's `mask_input`.
    """

    masks: npt.NDArray[np.bool_]
    predicted_iou: npt.NDArray[np.float32]
    object_score: npt.NDArray[np.float32]
    low_res_logits: npt.NDArray[np.float32]

    @property
    def best(self) -> npt.NDArray[np.bool_]:
        """The mask with the highest predicted IoU: (y, x), or (objects, y, x)."""
        choice = self.predicted_iou.argmax(axis=-1)
        chosen: npt.NDArray[np.bool_] = np.take_along_axis(self.masks, choice[..., None, None, None], axis=-3)
        return chosen.squeeze(-3)

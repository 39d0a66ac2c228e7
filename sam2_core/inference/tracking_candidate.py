"""One possible mask of an object on a frame, as propagators compare, remember and keep them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.tracked_object import TrackedObject


@dataclass(eq=False)
class TrackingCandidate:
    """A mask that the network gave, or one that is on record.

    Attributes
    ----------
    tracked : TrackedObject
    frame : int
    reverse : bool
        Whether it was found while tracking backwards.
    record : FrameRecord
        Mask, scores and pointer as they are put on record.
    memory : torch.Tensor, optional
        (h * w, C): the mask as later frames remember it, once one did.
    """

    tracked: TrackedObject
    frame: int
    reverse: bool
    record: FrameRecord
    memory: torch.Tensor | None = None

    @property
    def object_id(self) -> Hashable:
        """Whose it is."""
        return self.tracked.object_id

    @cached_property
    def mask(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(y, x) bool, at a quarter of the model's input size."""
        return np.asarray(self.record.mask[0, 0].cpu().numpy())

    @cached_property
    def predicted_iou(self) -> float:
        """The IoU that the model expects of the mask."""
        return float(self.record.predicted_iou)

    @cached_property
    def object_score(self) -> float:
        """A logit: above 0 where the model sees the object."""
        return float(self.record.object_score_logits)

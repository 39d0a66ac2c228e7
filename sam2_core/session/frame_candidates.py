"""All masks that "segment everything" found on a frame, to choose among as often as one likes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.inference.mask_choice import chosen_masks
from sam2_core.session.mask_pixels import EMPTY, MaskPixels
from sam2_core.session.worker.messages import CandidatesFound, MaskData

#: What holds where the options say nothing, as in :class:`~sam2_core.SAM2AutomaticMaskGenerator`.
USUAL: Final = {
    "pred_iou_thresh": 0.8,
    "stability_score_thresh": 0.95,
    "box_nms_thresh": 0.7,
    "crop_nms_thresh": 0.7,
    "crop_n_layers": 0,
}


@dataclass(frozen=True, eq=False)
class FrameCandidates:
    """What :meth:`AnnotationSession.start_candidates` finds.

    Attributes
    ----------
    frame : int
    packed : tuple of MaskData
        The masks, packed.
    predicted_ious, stability_scores : ndarray, (N,)
        0 to 1.
    object_scores : ndarray, (N,)
        Logits, above 0 where the model sees an object.
    crop_boxes : ndarray, (N, 4)
        The crop of the frame that each was found in: x0, y0, x1, y1.
    options : mapping
        What they were found with: the thresholds are the lowest that can be chosen.
    """

    frame: int
    packed: tuple[MaskData, ...]
    predicted_ious: NDArray[np.float64]
    object_scores: NDArray[np.float64]
    stability_scores: NDArray[np.float64]
    crop_boxes: NDArray[np.int64]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, found: CandidatesFound, options: Mapping[str, Any]) -> Self:
        """Take what a worker found with these options."""
        every = found.candidates
        return cls(
            found.frame,
            tuple(one.mask for one in every),
            np.array([one.predicted_iou for one in every], float),
            np.array([one.object_score for one in every], float),
            np.array([one.stability_score for one in every], float),
            np.array([one.crop_box for one in every], np.int64).reshape(-1, 4),
            {**USUAL, **options},
        )

    def __len__(self) -> int:
        return len(self.packed)

    def mask(self, index: int) -> MaskPixels:
        """The pixels of a candidate."""
        return self.packed[index].mask()

    def choose(self, pred_iou_thresh: float | None = None, stability_score_thresh: float | None = None) -> list[int]:
        """Choose those that a run with these thresholds would have found.

        Parameters
        ----------
        pred_iou_thresh, stability_score_thresh : float, optional
            Those that the candidates were found with by default.

        Returns
        -------
        list of int
            Indices, the best first.

        Raises
        ------
        InvalidInputError
            A threshold below that of the candidates, where there are none.
        """
        lowest = self.options["pred_iou_thresh"], self.options["stability_score_thresh"]
        iou = lowest[0] if pred_iou_thresh is None else pred_iou_thresh
        stability = lowest[1] if stability_score_thresh is None else stability_score_thresh
        if iou < lowest[0] or stability < lowest[1]:
            raise InvalidInputError(
                f"These candidates were found with pred_iou_thresh={lowest[0]:g} and "
                f"stability_score_thresh={lowest[1]:g}; got {iou:g} and {stability:g}. Look for candidates anew with "
                "lower thresholds."
            )
        # the last pixel is in the generator's boxes, and outside in those of masks
        boxes = np.array([one.box for one in self.packed], float).reshape(-1, 4)
        boxes[:, 2:] -= (boxes != EMPTY).any(axis=1)[:, None]
        return chosen_masks(
            boxes,
            self.predicted_ious,
            self.stability_scores,
            self.crop_boxes,
            pred_iou_thresh=iou,
            stability_score_thresh=stability,
            box_nms_thresh=self.options["box_nms_thresh"],
            crop_nms_thresh=self.options["crop_nms_thresh"] if self._has_crops else None,
        ).tolist()

    @property
    def _has_crops(self) -> bool:
        """Whether an object may have been found in several crops: the generator's own, or tiles of a large plane."""
        return bool(self.options["crop_n_layers"]) or len(np.unique(self.crop_boxes, axis=0)) > 1

    def labels(self, indices: Iterable[int], frame_size: tuple[int, int]) -> NDArray[np.int32]:
        """Draw candidates over each other, the first on top.

        Parameters
        ----------
        indices : iterable of int
        frame_size : tuple of int
            (height, width) of the frame.

        Returns
        -------
        ndarray, (y, x), int32
            1 for the candidate of index 0, and so on; 0 where there is none.
        """
        drawn = np.zeros(frame_size, np.int32)
        for one in reversed(list(indices)):
            mask = self.mask(one)
            drawn[mask.window][mask.inside] = one + 1
        return drawn

"""Of all candidates of one crop, the good and distinct masks, scaling up only those that the answer depends on.

Non-maximum suppression goes through masks from the best to the worst and drops a mask whose box overlaps that of a
better one that was kept. Most candidates of "segment everything" are such duplicates. Where a mask's box must lie is
known from its low-resolution logits within a logit's width, so most of them are seen to be suppressed before they are
scaled up, whatever their stability at full resolution would be. What is left is exactly what scaling up all of them and
then suppressing would leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.inference.candidate_decoder import Candidates
from sam2_core.inference.crops import is_box_near_crop_edge
from sam2_core.inference.mask_choice import areas, intersections, overlaps
from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.mask_upscaling import MaskUpscaler, MaskWindow, UpscaledMask

#: Low-resolution logits of candidates that wait; beyond this the best of them are scaled up and kept as run lengths.
MOST_WAITING_BYTES = 256 << 20
# Stability bounds are exact up to rounding.
_STABILITY_MARGIN = 1e-6
# Overlaps are computed in float32 by the definition, the bound in float64.
_OVERLAP_MARGIN = 1e-5

_Boxes = npt.NDArray[np.float32]


@dataclass(eq=False)
class _Candidate:
    """One mask before or after it is scaled up."""

    window: MaskWindow | None
    predicted_iou: Tensor
    object_score: Tensor
    point: Tensor
    inner: npt.NDArray[np.int64]
    outer: npt.NDArray[np.int64]
    mask: UpscaledMask | None = None

    @property
    def waiting_bytes(self) -> int:
        return 0 if self.window is None else self.window.logits.nbytes


class MaskSelection:
    """Collects a crop's candidates, then chooses among them.

    Parameters
    ----------
    upscaler : MaskUpscaler
        Of this crop.
    crop_box : [int, int, int, int]
        The crop in the image: x0, y0, x1, y1.
    image_size : (int, int)
        Height and width of the image.
    least_stability : float
        Keep masks with at least this stability at full resolution; 0 keeps all.
    most_overlap : float
        Of masks whose boxes have a greater IoU than this, only the best is kept.
    check : callable
        Called between masks; may raise, to stop.
    """

    def __init__(
        self,
        upscaler: MaskUpscaler,
        crop_box: Sequence[int],
        image_size: Sequence[int],
        *,
        least_stability: float,
        most_overlap: float,
        check: Callable[[], None],
    ) -> None:
        self._upscaler = upscaler
        self._crop_box = list(crop_box)
        self._size = [int(image_size[0]), int(image_size[1])]
        self._least_stability = least_stability
        self._most_overlap = most_overlap
        self._check = check
        self._candidates: list[_Candidate] = []

    def add(self, candidates: Candidates, points: Tensor) -> None:
        """Take the candidates of a batch of prompts that may be stable enough.

        Parameters
        ----------
        candidates : Candidates
            Their low-resolution logits may be freed afterwards: what is needed of them is copied.
        points : Tensor
            (B, 2) the prompts, x before y, in pixels of the crop.
        """
        chosen = self._promising(candidates.logits)
        if not chosen:
            return
        inner, outer = self._upscaler.box_bounds(candidates.logits[chosen])
        ious, scores = candidates.predicted_ious.cpu(), candidates.object_scores.cpu()
        origins = points.cpu()[candidates.prompt_index.cpu()]
        for row, index in enumerate(chosen):
            window = self._upscaler.cut(candidates.logits[index])
            known = ious[index], scores[index], origins[index]
            self._candidates.append(_Candidate(window, *known, inner[row], outer[row]))
        self._keep_within_bounds()

    def masks(self) -> MaskData:
        """Choose, the best first.

        Returns
        -------
        MaskData
            Columns rles, boxes (in the crop's frame), iou_preds, object_scores, points and stability_score.
        """
        kept: list[tuple[_Candidate, UpscaledMask]] = []
        boxes: _Boxes = np.zeros((0, 4), dtype=np.float32)
        for candidate in self._best_first():
            if self._is_suppressed_for_certain(candidate, boxes):
                continue
            mask = self._drawn(candidate)
            box = np.array(mask.box, dtype=np.float32)
            if not self._is_good(mask) or (overlaps(box, boxes).astype(np.float64) > self._most_overlap).any():
                continue
            boxes = np.concatenate([boxes, box[None]])
            kept.append((candidate, mask))
        return self._table(kept)

    def all_masks(self) -> MaskData:
        """All that are stable enough, duplicates too: columns as of :meth:`masks`, the best first."""
        drawn = ((candidate, self._drawn(candidate)) for candidate in self._best_first())
        return self._table([(candidate, mask) for candidate, mask in drawn if self._is_good(mask)])

    def _table(self, kept: Sequence[tuple[_Candidate, UpscaledMask]]) -> MaskData:
        data = no_masks()
        data["rles"] = [{"size": self._size, "counts": mask.counts} for _, mask in kept]
        if kept:
            data["boxes"] = torch.tensor([mask.box for _, mask in kept])
            data["iou_preds"] = torch.stack([candidate.predicted_iou for candidate, _ in kept])
            data["object_scores"] = torch.stack([candidate.object_score for candidate, _ in kept])
            data["points"] = torch.stack([candidate.point for candidate, _ in kept])
            data["stability_score"] = torch.tensor([mask.stability for _, mask in kept], dtype=torch.float64)
        return data

    def _promising(self, logits: Tensor) -> list[int]:
        """Indices of the masks that may be stable enough at full resolution."""
        if self._least_stability <= 0 or not len(logits):
            return list(range(len(logits)))
        enough = self._upscaler.stability_bounds(logits) >= self._least_stability - _STABILITY_MARGIN
        indices: list[int] = enough.nonzero()[:, 0].tolist()
        return indices

    def _best_first(self) -> list[_Candidate]:
        """Candidates by predicted IoU; equal ones as they came, as non-maximum suppression takes them."""
        if not self._candidates:
            return []
        ious = torch.stack([candidate.predicted_iou for candidate in self._candidates])
        order: list[int] = ious.sort(stable=True, descending=True).indices.tolist()
        return [self._candidates[index] for index in order]

    def _keep_within_bounds(self) -> None:
        waiting = sum(candidate.waiting_bytes for candidate in self._candidates)
        if waiting <= MOST_WAITING_BYTES:
            return
        # The best are the most likely to be looked at in the end.
        for candidate in self._best_first():
            if waiting <= MOST_WAITING_BYTES // 2:
                break
            waiting -= candidate.waiting_bytes
            if not self._is_good(self._drawn(candidate)):
                self._candidates.remove(candidate)

    def _drawn(self, candidate: _Candidate) -> UpscaledMask:
        if candidate.mask is None:
            self._check()
            assert candidate.window is not None
            candidate.mask, candidate.window = self._upscaler.draw(candidate.window), None
        return candidate.mask

    def _is_good(self, mask: UpscaledMask) -> bool:
        if self._least_stability > 0 and mask.stability < self._least_stability:
            return False
        whole = [0, 0, self._size[1], self._size[0]]
        return not bool(is_box_near_crop_edge(torch.tensor([mask.box]), self._crop_box, whole))

    def _is_suppressed_for_certain(self, candidate: _Candidate, boxes: _Boxes) -> bool:
        """Whether the box, wherever it lies between its bounds, overlaps a kept one by too much."""
        inner, outer = candidate.inner.astype(np.float64), candidate.outer.astype(np.float64)
        if candidate.mask is not None or not len(boxes) or (inner[2:] <= inner[:2]).any():
            return False
        shared = intersections(inner, boxes.astype(np.float64))
        union = areas(outer) + areas(boxes.astype(np.float64)) - shared
        return bool((shared > (self._most_overlap + _OVERLAP_MARGIN) * union).any())


def no_masks() -> MaskData:
    """An empty table with the columns of :meth:`MaskSelection.masks`."""
    return MaskData(
        rles=[],
        boxes=torch.zeros(0, 4, dtype=torch.int64),
        iou_preds=torch.zeros(0),
        object_scores=torch.zeros(0),
        points=torch.zeros(0, 2),
        stability_score=torch.zeros(0),
    )

"""Candidate masks for many points of one image, drawn only where the model thinks well of them.

The mask decoder knows a mask's predicted IoU before it has enlarged anything, and enlarging is about half of its work.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam2_core.inference.model_autocast_off import without_autocast
from sam2_core.model.fine_features import FineFeatures
from sam2_core.model.sam2_base import SAM2Base


@dataclass(frozen=True)
class Candidates:
    """Masks that were drawn, K of them.

    Attributes
    ----------
    logits : Tensor
        (K, h, w) float32.
    predicted_ious : Tensor
        (K,) float32.
    object_scores : Tensor
        (K,) float32 logits, above 0 where the model sees an object at the prompt.
    prompt_index : Tensor
        (K,) int64, the prompt each belongs to; in order, and for one prompt in the order of the mask tokens.
    """

    logits: Tensor
    predicted_ious: Tensor
    object_scores: Tensor
    prompt_index: Tensor


class CandidateDecoder:
    """Decode the three candidates of each point of one encoded image.

    Parameters
    ----------
    model : SAM2Base
        The model that encoded the image.
    embedding : Tensor
        (1, C, h, w), see :meth:`~sam2_core.model.sam2_base.SAM2Base.image_embedding`.
    fine : FineFeatures or None
        The finer feature maps, if the model uses them.
    """

    def __init__(self, model: SAM2Base, embedding: Tensor, fine: FineFeatures | None) -> None:
        self._model = model
        self._embedding = embedding
        self._fine = fine

    @torch.no_grad()
    def decode(self, points: Tensor, least_iou: float | None) -> Candidates:
        """Decode candidates for single foreground points.

        Parameters
        ----------
        points : Tensor
            (B, 2) float32, x before y, in pixels of the model's input.
        least_iou : float or None
            Draw only candidates whose predicted IoU is above this.

        Returns
        -------
        Candidates
        """
        labels = torch.ones(len(points), 1, dtype=torch.int32, device=points.device)
        decoder = self._model.sam_mask_decoder
        with without_autocast(points.device):
            sparse, dense = self._model.sam_prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)
            position = self._model.sam_prompt_encoder.get_dense_pe()
            looked = decoder.look(self._embedding, position, sparse, dense)
            candidates = slice(1, None)  # the first token is the single mask's
            ious = decoder.predicted_ious(looked)[:, candidates].float()
            scores = decoder.object_score_logits(looked).float().expand_as(ious)
            wanted = torch.ones_like(ious, dtype=torch.bool) if least_iou is None else ious > least_iou
            drawn = wanted.any(dim=1)
            if bool(drawn.any()):
                chosen = looked if bool(drawn.all()) else looked.select(drawn)
                logits = decoder.draw(chosen, self._fine, candidates)
            else:
                height, width = looked.grid
                logits = ious.new_empty(0, ious.shape[1], 4 * height, 4 * width)
        return Candidates(logits[wanted[drawn]].float(), ious[wanted], scores[wanted], wanted.nonzero()[:, 0])

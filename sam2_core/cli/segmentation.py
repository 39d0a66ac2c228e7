"""Segmenting prompted objects in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam2_core.cli.console import with_progress
from sam2_core.cli.prompts import FramePrompt

if TYPE_CHECKING:
    from sam2_core.model.sam2_base import SAM2Base


@dataclass(frozen=True)
class SegmentedObject:
    """One object's mask in one picture.

    Attributes
    ----------
    object_id : int
    logits : ndarray, (y, x) float32
        Above 0 is the object.
    predicted_iou : float
        IoU the model expects of the mask.
    object_score : float
        Probability that the object is there, 0 to 1.
    """

    object_id: int
    logits: NDArray[np.float32]
    predicted_iou: float
    object_score: float


def segment_objects(
    model: SAM2Base,
    picture: NDArray[np.uint8],
    prompts: Sequence[tuple[int, FramePrompt]],
    *,
    show_progress: bool = True,
) -> list[SegmentedObject]:
    """Encode a picture once and segment each prompted object in it.

    A single click is ambiguous (a nucleus, its cell, the whole clump): there the model gives three masks and the one it
    expects most of is taken. More clicks or a box say enough for one mask.

    Parameters
    ----------
    model : SAM2Base
    picture : ndarray, (y, x, 3) uint8 RGB
    prompts : sequence of (int, FramePrompt)
        Object ids and their prompts.
    show_progress : bool
        Whether to draw a progress bar.

    Returns
    -------
    list of SegmentedObject
        In the order of the prompts.
    """
    import torch

    from sam2_core.inference.frame_transform import FrameTransform
    from sam2_core.inference.image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(model)
    transform = FrameTransform(model.input_size)
    predictor.set_image(picture)
    found = []
    todo = with_progress(prompts, "Segmenting", len(prompts)) if show_progress else iter(prompts)
    for object_id, prompt in todo:
        is_single_click = len(prompt.points) == 1 and prompt.box is None
        answer = predictor.segment(
            np.array(prompt.points, dtype=np.float32) if prompt.points else None,
            np.array(prompt.labels, dtype=np.int32) if prompt.points else None,
            np.array(prompt.box, dtype=np.float32) if prompt.box is not None else None,
            multimask_output=is_single_click,
        )
        best = int(answer.predicted_iou.argmax())
        low_res = torch.from_numpy(answer.low_res_logits[None, None, best])
        logits: NDArray[np.float32] = transform.postprocess_masks(low_res, picture.shape[:2])[0, 0].numpy()
        found.append(SegmentedObject(object_id, logits, float(answer.predicted_iou[best]), float(answer.object_score)))
    return found

"""Segmenting prompted objects on one frame, of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.cli.console import with_progress
from sam2_core.cli.plane_labels import DrawnLabels, ObjectScores, PlaneLabels, SparseLabels
from sam2_core.cli.prompts import FramePrompt, MaskCrop
from sam2_core.cli.tracking import probability
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.inference.image_predictor import SAM2ImagePredictor
    from sam2_core.inference.object_crop_tracker import CropTracker
    from sam2_core.inference.tile_tracker import TiledTracker
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.model.results import ImageFeatures
    from sam2_core.model.sam2_base import SAM2Base
    from sam2_core.volumes.embedding_store import EmbeddingStore

# as sure as the model's own logits are within an object
KNOWN_MASK_LOGIT = 10.0


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
    expects most of is taken. More clicks or a box say enough for one mask. A mask is shown to the model together with
    its box, and comes back as the model would draw it.

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
    from sam2_core.inference.image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(model)
    predictor.set_image(picture)
    return _segmented(predictor, picture.shape[:2], prompts, show_progress=show_progress)


def _segmented(
    predictor: SAM2ImagePredictor,
    size: tuple[int, int],
    prompts: Sequence[tuple[int, FramePrompt]],
    *,
    show_progress: bool = True,
) -> list[SegmentedObject]:
    """Segment each prompted object in the picture, (height, width) large, that was set."""
    import torch

    from sam2_core.inference.frame_transform import FrameTransform

    transform = FrameTransform(predictor.model.input_size)
    mask_size = predictor.model.sam_prompt_encoder.mask_input_size
    found = []
    todo = with_progress(prompts, "Segmenting", len(prompts)) if show_progress else iter(prompts)
    for object_id, prompt in todo:
        box = prompt.box if prompt.mask is None else prompt.mask.box
        answer = predictor.segment(
            np.array(prompt.points, dtype=np.float32) if prompt.points else None,
            np.array(prompt.labels, dtype=np.int32) if prompt.points else None,
            None if box is None else np.array(box, dtype=np.float32),
            None if prompt.mask is None else _mask_logits(prompt.mask, mask_size),
            multimask_output=len(prompt.points) == 1 and box is None,
        )
        best = int(answer.predicted_iou.argmax())
        low_res = torch.from_numpy(answer.low_res_logits[None, None, best])
        logits: NDArray[np.float32] = transform.postprocess_masks(low_res, size)[0, 0].numpy()
        found.append(SegmentedObject(object_id, logits, float(answer.predicted_iou[best]), float(answer.object_score)))
    return found


def segment_frame(
    model: SAM2VideoPredictor,
    stack: FrameStack,
    index: int,
    prompts: Sequence[tuple[int, FramePrompt]],
    store: EmbeddingStore | None = None,
) -> PlaneLabels:
    """Segment prompted objects on one frame of any size.

    A plane that the model sees well is looked at as a whole, a larger one through tiles, of which only those with
    something in them are read.

    Parameters
    ----------
    model : SAM2VideoPredictor
    stack : FrameStack
    index : int
        Which frame.
    prompts : sequence of (int, FramePrompt)
        Object ids and their prompts.
    store : EmbeddingStore, optional
        Where the features of the frame, or of its tiles, are looked for and kept.

    Returns
    -------
    PlaneLabels
        Where masks overlap, the surer one has the pixel: of the higher logit, or in tiles of the higher predicted IoU.
    """
    from sam2_core.inference.tile_grid import TileGrid

    if len(TileGrid.for_model(stack.frame_size, model.input_size)) == 1:
        return _surest(_in_whole(model, stack, index, prompts, store), stack.frame_size)
    return _in_tiles(model, stack, index, prompts, store)


def frame_features(
    model: SAM2VideoPredictor, stack: FrameStack, index: int, store: EmbeddingStore | None
) -> ImageFeatures:
    """Encode a frame, or find it encoded: as a frame of a stack, so that each command finds what another encoded.

    Parameters
    ----------
    model : SAM2VideoPredictor
    stack : FrameStack
    index : int
        Which frame.
    store : EmbeddingStore, optional
        Where its features are looked for and kept.
    """
    from sam2_core.inference.frame_features import FrameFeatures
    from sam2_core.inference.video_frames import prepared_frames

    frames = prepared_frames(stack, input_size=model.input_size, device=model.device, store=store)
    features = FrameFeatures(model, frames, store=store)
    try:
        return features.get(index)
    finally:
        features.close()


def _in_whole(
    model: SAM2VideoPredictor,
    stack: FrameStack,
    index: int,
    prompts: Sequence[tuple[int, FramePrompt]],
    store: EmbeddingStore | None,
) -> list[SegmentedObject]:
    from sam2_core.inference.image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(model)
    predictor.set_features(frame_features(model, stack, index, store), stack.frame_size)
    return _segmented(predictor, stack.frame_size, prompts)


def _surest(found: Sequence[SegmentedObject], size: tuple[int, int]) -> DrawnLabels:
    labels = np.zeros(size, dtype=np.int32)
    best = np.zeros(size, dtype=np.float32)
    for one in found:
        wins = one.logits > best
        labels[wins] = one.object_id
        best[wins] = one.logits[wins]
    return DrawnLabels(labels, [ObjectScores(one.object_id, one.predicted_iou, one.object_score) for one in found])


def _in_tiles(
    model: SAM2VideoPredictor,
    stack: FrameStack,
    index: int,
    prompts: Sequence[tuple[int, FramePrompt]],
    store: EmbeddingStore | None,
) -> SparseLabels:
    from sam2_core.inference.tile_tracker import TiledTracker

    tracker = TiledTracker(model)
    state = tracker.init_state(stack, embedding_store=store)
    try:
        for object_id, prompt in with_progress(prompts, "Segmenting", len(prompts)):
            prompt_plane(tracker, state, index, object_id, prompt)
        found = tracker.masks_on_frame(state, index).objects
    finally:
        state.close()
    ids = [int(str(one.object_id)) for one in found]
    scores = [
        ObjectScores(object_id, one.predicted_iou, probability(one.object_score))
        for object_id, one in zip(ids, found, strict=True)
    ]
    masks = [
        (object_id, MaskCrop.of(one.mask, one.window.top, one.window.left, stack.frame_size))
        for object_id, one in sorted(zip(ids, found, strict=True), key=lambda pair: pair[1].predicted_iou)
        if one.mask.any()
    ]
    return SparseLabels(stack.frame_size, scores, masks)


def prompt_plane(
    tracker: TiledTracker | CropTracker, state: Any, index: int, object_id: int, prompt: FramePrompt
) -> None:
    """Give a prompt to a tracker that looks at planes in parts."""
    if prompt.mask is not None:
        tracker.prompt_mask(state, index, object_id, prompt.mask.crop, origin=(prompt.mask.left, prompt.mask.top))
        return
    tracker.prompt_points(
        state,
        index,
        object_id,
        np.array(prompt.points, dtype=np.float32) if prompt.points else None,
        np.array(prompt.labels, dtype=np.int32) if prompt.points else None,
        box=None if prompt.box is None else np.array(prompt.box, dtype=np.float32),
    )


def _mask_logits(mask: MaskCrop, size: tuple[int, int]) -> NDArray[np.float32]:
    """A known mask as the low-resolution logits, (1, h, w), that the model takes for an earlier answer of its own."""
    import torch
    import torch.nn.functional as functional

    covered = functional.interpolate(torch.from_numpy(mask.full)[None, None].float(), size=size, mode="area")
    logits: NDArray[np.float32] = ((covered[0] * 2 - 1) * KNOWN_MASK_LOGIT).numpy()
    return logits

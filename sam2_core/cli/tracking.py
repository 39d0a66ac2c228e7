"""Tracking prompted objects through a stack, in both directions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from sam2_core.cli.console import with_progress
from sam2_core.cli.merged_labels import MergedLabels
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompts import ObjectPrompts
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.inference.frame_masks import FrameMasks
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState

Direction = Literal["both", "forward", "backward"]

# image features kept for objects that start on other frames; more would be encoded again rather than fill the memory
FEATURE_BUDGET_BYTES = 1 << 30


def track_objects(
    predictor: SAM2VideoPredictor,
    stack: FrameStack,
    objects: Sequence[ObjectPrompts],
    labels: MergedLabels,
    table: ObjectTable,
    *,
    direction: Direction = "both",
    frames: range | None = None,
    show_progress: bool = True,
) -> None:
    """Track objects from the frames they were prompted on and merge their masks into the labels.

    Objects that start on the same frame go together; each starts where it was first prompted, so that no object is
    looked for across frames nobody has said anything about while others are followed.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    stack : FrameStack
    objects : sequence of ObjectPrompts
    labels : MergedLabels
        Filled.
    table : ObjectTable
        Gets the scores: predicted IoU and the probability that the object is on a frame.
    direction : {"both", "forward", "backward"}
        Which way from the first prompted frame. Objects prompted on several frames use all prompts either way.
    frames : range, optional
        Go to these frames only.
    show_progress : bool
        Whether to draw a progress bar.
    """
    groups: dict[int, list[ObjectPrompts]] = {}
    for one in objects:
        groups.setdefault(one.first_frame, []).append(one)
    reach = range(len(stack)) if frames is None else frames
    total = sum(_step_count(first, reach, direction) for first in groups)
    state = predictor.init_state(stack, cached_features=_kept_features(predictor, len(stack)) if len(groups) > 1 else 1)
    steps = _steps(predictor, state, groups, direction, reach)
    for frame_masks in with_progress(steps, "Tracking", total) if show_progress else steps:
        _merge(frame_masks, labels, table)


def _steps(
    predictor: SAM2VideoPredictor,
    state: VideoState,
    groups: dict[int, list[ObjectPrompts]],
    direction: Direction,
    reach: range,
) -> Iterator[FrameMasks]:
    for first, members in sorted(groups.items()):
        predictor.reset_state(state)
        for one in members:
            for frame, prompt in sorted(one.frames.items()):
                if prompt.mask is not None:
                    predictor.prompt_mask(state, frame, one.object_id, prompt.mask.full)
                    continue
                predictor.prompt_points(
                    state,
                    frame,
                    one.object_id,
                    np.array(prompt.points, dtype=np.float32) if prompt.points else None,
                    np.array(prompt.labels, dtype=np.int32) if prompt.points else None,
                    box=np.array(prompt.box, dtype=np.float32) if prompt.box is not None else None,
                )
        if direction != "backward":
            yield from predictor.propagate(state, first, reach.stop - first)
        if direction == "backward" or (direction == "both" and first > reach.start):
            yield from predictor.propagate(state, first, first - reach.start + 1, reverse=True)


def _step_count(first: int, reach: range, direction: Direction) -> int:
    forward, backward = reach.stop - first, first - reach.start + 1
    if direction == "both":
        return forward + (backward if first > reach.start else 0)
    return forward if direction == "forward" else backward


def _merge(frame_masks: FrameMasks, labels: MergedLabels, table: ObjectTable) -> None:
    ids = [int(str(object_id)) for object_id in frame_masks.object_ids]
    labels.merge(frame_masks.frame_index, ids, frame_masks.logits[:, 0].float().cpu().numpy())
    scores = [_probability(logit) for logit in frame_masks.object_scores.tolist()]
    table.score(frame_masks.frame_index, ids, frame_masks.predicted_ious.tolist(), scores)


def _probability(logit: float) -> float:
    # written so that neither end overflows
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def _kept_features(predictor: SAM2VideoPredictor, frame_count: int) -> int:
    height, width = predictor.input_size
    # three maps at strides 4, 8 and 16, of which the finer ones have an eighth and a quarter of the channels
    channels = predictor.hidden_dim
    values = height * width * channels * (1 / 8 / 16 + 1 / 4 / 64 + 1 / 256)
    # positions come with the features and take as much
    size = 2 * values * predictor.dtype.itemsize
    return max(1, min(frame_count, int(FEATURE_BUDGET_BYTES // size)))

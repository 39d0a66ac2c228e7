"""What the network is asked to do in one training step, and how wrong it was.

Two tasks: images (several prompts on each encoded image, often corrected) and short stacks (a prompt on one frame, the
others from memory, to the last and then back to the first, some of them corrected). Losses are taken on the mask grid
against the share of each cell that the object covers: the full-resolution mask is a bilinear enlargement of that grid,
at sixteen times the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.model import EncodedMemory, FrameOutput, ImageFeatures, MemoryBank, PointPrompts, SAM2Base
from sam2_core.training import prompts
from sam2_core.training.dense_head import DenseHead, dense_loss, dense_targets
from sam2_core.training.losses import PromptStep, actual_iou, balanced_loss, dice_loss, focal_loss, local_loss
from sam2_core.training.samples import Batch

# How often images are corrected, and by how many clicks at most: what a person does after the first.
_CORRECTED = 0.5
_CORRECTIONS = 3
# The same of tracked frames of a stack, and on how many of them at most.
_CORRECTED_STACKS = 0.5
_CORRECTED_FRAMES = 2
_CORRECTIONS_OF_A_FRAME = 2


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts of the loss.

    Attributes
    ----------
    balanced, focal, local, dice, iou, score, dense
        See :mod:`sam2_core.training.losses` and :mod:`sam2_core.training.dense_head`.
    others
        Weight of the mean loss of all candidates beside the best one's: keeps every candidate alive, and makes it
        matter less which of them is chosen.
    single
        Weight of the single mask's loss beside that of the candidates.
    """

    balanced: float = 1.0
    focal: float = 0.0
    local: float = 0.0
    dice: float = 1.0
    iou: float = 0.5
    score: float = 0.2
    dense: float = 0.5
    others: float = 0.1
    single: float = 0.0


def covered(masks: Tensor) -> Tensor:
    """Share of each mask cell that masks (B, H, W) bool cover: (B, 1, H / 4, W / 4) float32."""
    return F.avg_pool2d(masks[:, None].float(), 4)


def mask_step_loss(step: PromptStep, truth: Tensor, weights: LossWeights) -> tuple[Tensor, Tensor]:
    """Loss of one round of prompts.

    Parameters
    ----------
    step : PromptStep
        Masks on the mask grid.
    truth : Tensor (B, 1, h, w)
        Share of each cell that the object covers; all 0 where it is absent.
    weights : LossWeights

    Returns
    -------
    loss : Tensor ()
    ious : Tensor (B, M)
        Actual IoU of each candidate on the grid, NaN where the object is absent.
    """
    spread = truth.expand_as(step.masks)
    present = (truth > 0.25).flatten(1).any(dim=1, keepdim=True).float()
    # Where the score said "absent" the masks are a constant: nothing to learn from them there.
    said = (step.masks.flatten(1).amax(dim=1, keepdim=True) > -1000).float()
    each = weights.dice * dice_loss(step.masks, spread, 1.0, True)
    if weights.balanced:
        each = each + weights.balanced * balanced_loss(step.masks, truth)
    if weights.focal:
        each = each + weights.focal * focal_loss(step.masks, spread).flatten(2).mean(dim=-1)
    if weights.local:
        each = each + weights.local * local_loss(step.masks, truth)
    best = each.detach().argmin(dim=1, keepdim=True)
    mask = each.gather(1, best) + weights.others * each.mean(dim=1, keepdim=True)
    ious = actual_iou(step.masks.detach(), truth.expand_as(step.masks), 0.5)
    quality = (step.predicted_ious - ious).abs().mean(dim=1, keepdim=True)
    count = (present * said).sum().clamp(min=1.0)
    loss = ((mask + weights.iou * quality) * present * said).sum() / count
    score = F.binary_cross_entropy_with_logits(step.object_score_logits, present)
    return loss + weights.score * score, torch.where(present > 0, ious, torch.nan)


def best_scored(step: PromptStep, ious: Tensor) -> Tensor:
    """Actual IoU (B,) of the candidate with the highest predicted IoU."""
    return ious.gather(1, step.predicted_ious.argmax(dim=1, keepdim=True))[:, 0]


def repeated(features: ImageFeatures, count: int) -> ImageFeatures:
    """Each image's features `count` times, for its objects."""
    return ImageFeatures(
        tuple(level.repeat_interleave(count, dim=0) for level in features.maps),
        tuple(level.repeat_interleave(count, dim=0) for level in features.positions),
    )


def decode_prompts(model: SAM2Base, features: ImageFeatures, points: PointPrompts, masks: Tensor | None) -> PromptStep:
    """Decode prompts on frames without memory: the single mask and the candidates.

    Unlike `forward_sam_heads` it keeps the masks of objects whose score says absent.
    """
    sparse, dense = model.sam_prompt_encoder((points.coords, points.labels), None, masks)
    decoder = model.sam_mask_decoder
    looked = decoder.look(model.image_embedding(features), model.sam_prompt_encoder.get_dense_pe(), sparse, dense)
    scores = decoder.object_score_logits(looked)
    return PromptStep(decoder.draw(looked, features.maps[:2]), decoder.predicted_ious(looked), scores)


def _single(step: PromptStep) -> PromptStep:
    return replace(step, masks=step.masks[:, :1], predicted_ious=step.predicted_ious[:, :1])


def candidates(step: PromptStep) -> PromptStep:
    """The masks for ambiguous prompts alone, without the single one."""
    return replace(step, masks=step.masks[:, 1:], predicted_ious=step.predicted_ious[:, 1:])


def image_loss(
    model: SAM2Base,
    head: DenseHead | None,
    batch: Batch,
    random: np.random.Generator,
    weights: LossWeights,
    features: ImageFeatures | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Segment the objects of single images from a click, a box or a few points; often correct the result.

    Parameters
    ----------
    model : SAM2Base
    head : DenseHead, optional
    batch : Batch
        Of one frame.
    random : numpy Generator
    weights : LossWeights
    features : ImageFeatures, optional
        Of all images of the batch, frame after frame, where they were encoded before.

    Returns
    -------
    loss : Tensor ()
    measures : dict of str to float
        "iou" (best-scored candidate), "best" (best candidate), "corrected" (after the last correction), "dense"
        (auxiliary loss).
    """
    features = model.forward_image(batch.images[0]) if features is None else features
    objects = repeated(features, batch.objects.shape[1])
    masks = batch.masks(0)
    truth = covered(masks)
    kind = random.random()
    multimask = True
    if kind < 0.7:
        points = prompts.clicks(random, masks)
    elif kind < 0.88:
        points = prompts.boxes(random, masks)
        multimask = random.random() < 0.4
    else:
        points = prompts.joined(prompts.clicks(random, masks), prompts.clicks(random, masks, central=0.0))
        multimask = random.random() < 0.2
    decoded = decode_prompts(model, objects, points, None)
    step = candidates(decoded) if multimask else _single(decoded)
    loss, ious = mask_step_loss(step, truth, weights)
    if multimask and weights.single:
        loss = loss + weights.single * mask_step_loss(_single(decoded), truth, weights)[0]
    measures = {"iou": float(best_scored(step, ious).nanmean()), "best": float(ious.amax(dim=1).nanmean())}
    if random.random() < _CORRECTED:
        rounds = int(random.integers(1, _CORRECTIONS + 1))
        corrected = torch.zeros_like(loss)
        for _ in range(rounds):
            chosen = step.predicted_ious.argmax(dim=1)[:, None, None, None]
            logits = step.masks.detach().take_along_dim(chosen, dim=1)
            said = F.interpolate(logits, masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0] > 0
            points = prompts.joined(points, prompts.corrections(random, masks, said))
            step = _single(decode_prompts(model, objects, points, logits.clamp(-32, 32)))
            again, ious = mask_step_loss(step, truth, weights)
            corrected = corrected + again / rounds
        loss = 0.6 * loss + 0.8 * corrected
        measures["corrected"] = float(ious.nanmean())
    if head is not None and weights.dense:
        dense = dense_loss(head(features), dense_targets(batch.labels[0]))
        loss = loss + weights.dense * dense
        measures["dense"] = float(dense.detach())
    return loss, measures


def _first_prompt(random: np.random.Generator, masks: Tensor) -> tuple[PointPrompts | None, Tensor | None]:
    kind = random.random()
    if kind < 0.6:
        return prompts.clicks(random, masks), None
    if kind < 0.75:
        return prompts.boxes(random, masks), None
    return None, masks[:, None].float()


def _without_gradient(output: FrameOutput) -> FrameOutput:
    """What is remembered of a tracked frame."""
    memory = output.memory
    if memory is not None:
        memory = EncodedMemory(memory.features.detach(), memory.position.detach())
    return replace(output, object_pointer=output.object_pointer.detach(), memory=memory)


def stack_loss(
    model: SAM2Base,
    head: DenseHead | None,
    batch: Batch,
    random: np.random.Generator,
    weights: LossWeights,
    features: ImageFeatures | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Follow the objects of short stacks from a prompt, first to the last frame, then backwards to the first.

    That is how a person tracks from the middle of a stack: on the way back the memory holds the frames beyond the
    object's other end as well. Gradients flow through the memory of the prompted frame, not through those of tracked
    ones: that costs less, and what a frame remembers wrongly is not learned from frames far away.

    Half of the stacks are corrected: clicks into the errors of one or two tracked frames, decoded with what is
    remembered and with the mask that they correct. Such a frame is remembered as the prompted one is.

    Parameters as in :func:`image_loss`, the batch of two frames or more.

    Returns
    -------
    loss : Tensor ()
        Mean over frames.
    measures : dict of str to float
        Over the frames without a prompt: "track" (mean IoU where the object is present), "there" and "gone" (share
        of right object scores where it is present and where it is absent); "first" (IoU of the prompted frame);
        "mended" (IoU of corrected frames, after their last click).
    """
    frames, stacks = batch.images.shape[:2]
    count = batch.objects.shape[1]
    encoded = model.forward_image(batch.images.flatten(0, 1)) if features is None else features
    memory = MemoryBank()
    losses: list[Tensor] = []
    tracked: list[Tensor] = []
    right: list[Tensor] = []
    present: list[Tensor] = []
    measures: dict[str, float] = {}
    start = batch.start
    order = (*range(start, frames), *range(start - 1, -1, -1))
    corrected: set[int] = set()
    if random.random() < _CORRECTED_STACKS:
        several = min(int(random.integers(1, _CORRECTED_FRAMES + 1)), frames - 1)
        corrected.update(int(frame) for frame in random.choice(order[1:], several, replace=False))
    mended: list[Tensor] = []
    for frame in order:
        shown = repeated(encoded.select(slice(frame * stacks, (frame + 1) * stacks)), count)
        masks = batch.masks(frame)
        points, given = _first_prompt(random, masks) if frame == start else (None, None)
        output = model.track_step(
            frame,
            frame == start,
            shown,
            points,
            given,
            memory,
            frames,
            track_in_reverse=frame < start,
            run_mem_encoder=frame != order[-1] and frame not in corrected,
        )
        if frame == start:
            memory.conditioning[frame] = output
        elif frame not in corrected:
            memory.recent[frame] = _without_gradient(output)
        if given is not None:
            continue
        step = PromptStep(output.low_res_multimasks, output.predicted_ious, output.object_score_logits)
        loss, ious = mask_step_loss(step, covered(masks), weights)
        losses.append(loss)
        if frame == start:
            measures["first"] = float(best_scored(step, ious).nanmean())
            continue
        tracked.append(best_scored(step, ious))
        present.append(masks.flatten(1).any(dim=1))
        right.append((output.object_score_logits[:, 0] > 0) == present[-1])
        if frame not in corrected:
            continue
        clicks: PointPrompts | None = None
        for _ in range(int(random.integers(1, _CORRECTIONS_OF_A_FRAME + 1))):
            wrong = prompts.corrections(random, masks, output.high_res_masks[:, 0].detach() > 0)
            clicks = wrong if clicks is None else prompts.joined(clicks, wrong)
            output = model.track_step(
                frame,
                False,
                shown,
                clicks,
                None,
                memory,
                frames,
                track_in_reverse=frame < start,
                run_mem_encoder=frame != order[-1],
                prev_sam_mask_logits=output.low_res_masks.detach().clamp(-32, 32),
            )
            step = PromptStep(output.low_res_multimasks, output.predicted_ious, output.object_score_logits)
            loss, ious = mask_step_loss(step, covered(masks), weights)
            losses.append(loss)
        mended.append(best_scored(step, ious))
        memory.conditioning[frame] = _without_gradient(output)
    total = torch.stack(losses).mean()
    there, correct = torch.cat(present), torch.cat(right).float()
    measures["track"] = float(torch.cat(tracked).nanmean())
    measures["there"], measures["gone"] = float(correct[there].mean()), float(correct[~there].mean())
    if mended:
        measures["mended"] = float(torch.cat(mended).nanmean())
    if head is not None and weights.dense:
        total = total + weights.dense * dense_loss(head(encoded), dense_targets(batch.labels.flatten(0, 1)))
    return total, measures

"""Losses on masks, their predicted quality and the object's presence.

The first group has the official definitions (Ravi et al. 2024, arXiv:2408.00714, appendix D: focal 20, dice 1, IoU 1,
object score 1). :func:`balanced_loss` is ours: with small objects the focal loss of an untrained network is least when
every mask is empty, and weighting object, near and far background equally leads away from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import InvalidInputError


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss of each element (Lin et al. 2017, arXiv:1708.02002, equation 5).

    Parameters
    ----------
    logits, targets : Tensor
        Of one shape; targets in [0, 1].
    alpha : float
        Weight of the positive class, the negative one having 1 - alpha; negative for no weighting.
    gamma : float
        Exponent that plays down what is already right.

    Returns
    -------
    Tensor
        Of the inputs' shape.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid()
    wrong = probability + targets - 2 * probability * targets
    loss = cross_entropy if gamma == 0 else cross_entropy * wrong**gamma
    return loss if alpha < 0 else loss * (1 - alpha + (2 * alpha - 1) * targets)


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    num_objects: float,
    alpha: float = 0.25,
    gamma: float = 2.0,
    loss_on_multimask: bool = False,
) -> Tensor:
    """Focal loss under its official name and arguments.

    Parameters
    ----------
    inputs, targets : Tensor (B, M, h, w), or (B, N) without ``loss_on_multimask``
        Logits and truth in [0, 1].
    num_objects : float
        What the sum over objects is divided by.
    alpha, gamma : float
        See :func:`focal_loss`.
    loss_on_multimask : bool
        Keep one value for each candidate.

    Returns
    -------
    Tensor (B, M) or ()
        Mean over pixels divided by ``num_objects``.
    """
    loss = focal_loss(inputs, targets, alpha, gamma)
    if loss_on_multimask:
        return loss.flatten(2).mean(dim=-1) / num_objects
    return loss.mean(dim=1).sum() / num_objects


def dice_loss(inputs: Tensor, targets: Tensor, num_objects: float, loss_on_multimask: bool = False) -> Tensor:
    """1 - Dice coefficient of probabilities, one pixel added above and below (Milletari et al. 2016, arXiv:1606.04797).

    Parameters and result as in :func:`sigmoid_focal_loss`.
    """
    start = 2 if loss_on_multimask else 1
    probability, truth = inputs.sigmoid().flatten(start), targets.flatten(start)
    both = (probability * truth).sum(dim=-1)
    loss = 1 - (2 * both + 1) / (probability.sum(dim=-1) + truth.sum(dim=-1) + 1)
    return loss / num_objects if loss_on_multimask else loss.sum() / num_objects


def actual_iou(logits: Tensor, targets: Tensor, threshold: float = 0.0) -> Tensor:
    """IoU of thresholded masks: (B, M) from logits and targets (B, M, h, w).

    ``threshold`` is the value that a target must exceed; two empty masks have IoU 0, as in the official loss.
    """
    predicted, truth = logits.flatten(2) > 0, targets.flatten(2) > threshold
    both = (predicted & truth).sum(dim=-1).float()
    either = (predicted | truth).sum(dim=-1).float()
    return both / either.clamp(min=1.0)


def iou_loss(
    inputs: Tensor,
    targets: Tensor,
    pred_ious: Tensor,
    num_objects: float,
    loss_on_multimask: bool = False,
    use_l1_loss: bool = False,
) -> Tensor:
    """How far predicted IoUs (B, M) are from those of the masks, squared or (``use_l1_loss``) absolute.

    Parameters and result as in :func:`sigmoid_focal_loss`.
    """
    actual = actual_iou(inputs, targets)
    difference = F.l1_loss if use_l1_loss else F.mse_loss
    loss = difference(pred_ious, actual, reduction="none")
    return loss / num_objects if loss_on_multimask else loss.sum() / num_objects


def balanced_loss(logits: Tensor, targets: Tensor, near: int = 5) -> Tensor:
    """Cross-entropy with object, near background and far background weighted equally.

    Parameters
    ----------
    logits : Tensor (B, M, h, w)
    targets : Tensor (B, 1, h, w)
        In [0, 1]; the share of a mask cell that the object covers.
    near : int
        Width of the near background in cells.

    Returns
    -------
    Tensor (B, M)
        About 0.7 for logits of 0; the share of an empty region falls away.
    """
    around = F.max_pool2d(targets, 2 * near + 1, stride=1, padding=near).ceil() - targets
    far = (1 - targets - around).clamp(min=0)
    regions = torch.cat((targets, around.clamp(min=0), far), dim=1)
    area = regions.sum(dim=(-2, -1), keepdim=True)
    weight = (regions / area.clamp(min=1.0)).sum(dim=1, keepdim=True) / (area > 0).sum(dim=1, keepdim=True).clamp(min=1)
    loss = F.binary_cross_entropy_with_logits(logits, targets.expand_as(logits), reduction="none")
    return (loss * weight).sum(dim=(-2, -1))


def local_loss(logits: Tensor, targets: Tensor, near: int = 4, far: float = 0.3) -> Tensor:
    """Cross-entropy over an object and its surroundings, every cell of them alike, plus a little of the rest.

    :func:`balanced_loss` weighs a cell of a small object far above one beside it, so that masks grow too large; here
    the border lies where object and surroundings are equally likely.

    Parameters
    ----------
    logits : Tensor (B, M, h, w)
    targets : Tensor (B, 1, h, w)
        In [0, 1]; the share of a mask cell that the object covers.
    near : int
        Width of the surroundings in cells.
    far : float
        Weight of the mean over the rest.

    Returns
    -------
    Tensor (B, M)
        About 0.7 * (1 + far) for logits of 0; for an absent object only the rest counts.
    """
    region = (F.max_pool2d(targets, 2 * near + 1, stride=1, padding=near) > 0).float()
    rest = 1 - region
    weight = region / region.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)
    weight = weight + far * rest / rest.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)
    loss = F.binary_cross_entropy_with_logits(logits, targets.expand_as(logits), reduction="none")
    return (loss * weight).sum(dim=(-2, -1))


@dataclass(frozen=True)
class PromptStep:
    """What the network said after one round of prompts on one frame.

    Attributes
    ----------
    masks : Tensor (B, M, H, W)
        Logits of all candidates.
    predicted_ious : Tensor (B, M)
    object_score_logits : Tensor (B, 1)
    """

    masks: Tensor
    predicted_ious: Tensor
    object_score_logits: Tensor


class MultiStepMultiMasksAndIous(nn.Module):
    """The official loss over frames and rounds of correction.

    Of several candidates only the best (least weighted focal + dice) is trained; masks and IoUs count only where the
    object is in the frame.

    Parameters
    ----------
    weight_dict : mapping of str to float
        Weights of "loss_mask" (focal), "loss_dice", "loss_iou" and, optionally, "loss_class" (object score).
    focal_alpha, focal_gamma : float
    supervise_all_iou : bool
        Train the predicted IoUs of all candidates, not of the best alone.
    iou_use_l1_loss : bool
    pred_obj_scores : bool
        Train the object score.
    focal_gamma_obj_score, focal_alpha_obj_score : float

    Raises
    ------
    InvalidInputError
        A weight is missing.
    """

    def __init__(
        self,
        weight_dict: Mapping[str, float],
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        supervise_all_iou: bool = False,
        iou_use_l1_loss: bool = False,
        pred_obj_scores: bool = False,
        focal_gamma_obj_score: float = 0.0,
        focal_alpha_obj_score: float = -1.0,
    ) -> None:
        super().__init__()
        missing = {"loss_mask", "loss_dice", "loss_iou"} - set(weight_dict)
        if missing:
            raise InvalidInputError(f"weight_dict needs loss_mask, loss_dice and loss_iou; missing: {sorted(missing)}")
        self.weight_dict = {"loss_class": 0.0, **weight_dict}
        self.focal_alpha = focal_alpha
        self.focal_gamma = focal_gamma
        self.supervise_all_iou = supervise_all_iou
        self.iou_use_l1_loss = iou_use_l1_loss
        self.pred_obj_scores = pred_obj_scores
        self.focal_gamma_obj_score = focal_gamma_obj_score
        self.focal_alpha_obj_score = focal_alpha_obj_score

    def forward(
        self, frames: Sequence[Sequence[PromptStep]], targets: Tensor, labelled: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Sum the losses of all frames and rounds.

        Parameters
        ----------
        frames : sequence of sequence of PromptStep
            For each frame, its rounds of prompts.
        targets : Tensor (T, B, H, W)
            Truth, 0 or 1.
        labelled : Tensor (T, B), bool, optional
            False where the truth is not known: nothing is asked there. All True by default.

        Returns
        -------
        dict of str to Tensor ()
            The losses, unweighted, and "core_loss", their weighted sum. Each is divided by the number of objects,
            of which all processes of a run take the mean over processes.
        """
        if len(frames) != len(targets):
            raise InvalidInputError(f"{len(frames)} frames of output but targets of {len(targets)} frames")
        objects = _mean_over_processes(targets.new_tensor(targets.shape[1], dtype=torch.float32))
        total = {name: targets.new_zeros((), dtype=torch.float32) for name in self.weight_dict}
        for index, (steps, truth) in enumerate(zip(frames, targets, strict=True)):
            known = None if labelled is None else labelled[index][:, None].float()
            for step in steps:
                for name, value in self.step_losses(step, truth[:, None].float(), objects, known).items():
                    total[name] = total[name] + value
        weighted = [self.weight_dict[name] * value for name, value in total.items() if self.weight_dict[name]]
        total["core_loss"] = torch.stack(weighted).sum()
        return total

    def mask_losses(self, logits: Tensor, truth: Tensor, objects: float) -> dict[str, Tensor]:
        """Return losses on masks (B, M) by name, unweighted; logits (B, M, H, W), truth (B, 1, H, W)."""
        spread = truth.expand_as(logits)
        return {
            "loss_mask": sigmoid_focal_loss(logits, spread, objects, self.focal_alpha, self.focal_gamma, True),
            "loss_dice": dice_loss(logits, spread, objects, True),
        }

    def step_losses(
        self, step: PromptStep, truth: Tensor, objects: float, known: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the unweighted losses of one round; ``truth`` (B, 1, H, W), ``known`` (B, 1) 0 or 1."""
        masks = self.mask_losses(step.masks, truth, objects)
        spread = truth.expand_as(step.masks)
        iou = iou_loss(step.masks, spread, step.predicted_ious, objects, True, self.iou_use_l1_loss)
        counts = torch.ones_like(iou[:, :1]) if known is None else known
        score = iou.new_zeros(())
        if self.pred_obj_scores:
            present = (truth > 0).flatten(1).any(dim=1, keepdim=True).float()
            logits = step.object_score_logits
            score = (focal_loss(logits, present, self.focal_alpha_obj_score, self.focal_gamma_obj_score) * counts).sum()
            score = score / objects
            counts = counts * present
        combined = torch.stack([self.weight_dict[name] * each for name, each in masks.items()]).sum(dim=0)
        best = combined.argmin(dim=1, keepdim=True)
        chosen_iou = iou.mean(dim=1, keepdim=True) if self.supervise_all_iou else iou.gather(1, best)
        return {
            **{name: (each.gather(1, best) * counts).sum() for name, each in masks.items()},
            "loss_iou": (chosen_iou * counts).sum(),
            "loss_class": score,
        }


def _mean_over_processes(count: Tensor) -> float:
    """Mean of a count over the processes of a run, at least 1."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(count)
        count = count / dist.get_world_size()
    return max(float(count), 1.0)

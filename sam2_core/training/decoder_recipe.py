"""Fine-tuning the mask decoder alone on somebody's own labels, from clicks on single frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import TrainingEvent, TrainingRun, TrainingVideo
from sam2_core.model import SAM2Base
from sam2_core.training.objectives import LossWeights, image_loss
from sam2_core.training.samples import PIXEL_MEAN, PIXEL_STD, Batch
from sam2_core.training.trainer import StepRandom, Trainer, TrainerOptions

#: No dense head: that is part of the training from nothing alone.
WEIGHTS = LossWeights(dense=0.0)


def train_decoder(
    model: SAM2Base,
    videos: Sequence[TrainingVideo],
    run: TrainingRun,
    *,
    steps: Annotated[int, {"min": 1}] = 300,
    learning_rate: Annotated[float, {"min": 0.0, "max": 1.0}] = 1e-4,
    objects: Annotated[int, {"min": 1, "max": 64}] = 8,
    seed: int = 0,
) -> None:
    """Train the mask decoder; encoder, memory and prompt encoder stay as they are.

    Each step shows one labelled frame and asks for some of its objects.

    Parameters
    ----------
    model : SAM2Base
        Changed in place, at the end, to the moving average of its weights; comes back in evaluation mode.
    videos : sequence of TrainingVideo
    run : TrainingRun
    steps : int
        At most; the run may end earlier.
    learning_rate : float
    objects : int
        Of a frame that are asked for in one step.
    seed : int
        Of what is shown.

    Raises
    ------
    InvalidInputError
        No frame has an object that can be seen at the model's input size.
    """
    labelled = [(video, frame) for video in videos for frame in range(len(video)) if _can_be_seen(model, video, frame)]
    if not labelled:
        raise InvalidInputError(
            "There is nothing to learn from: no frame has a labelled object of a pixel or more at "
            f"the model's input size, {model.input_size}."
        )
    wanted = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("sam_mask_decoder."))
    options = TrainerOptions(learning_rate=learning_rate, warm_up=min(20, steps), weight_decay=0.0, seed=seed)
    trainer = Trainer(nn.ModuleDict({"model": model}), options, run.folder)

    def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        batch = None
        while batch is None:
            video, frame = labelled[int(random.own.integers(len(labelled)))]
            batch = _batch(model, video, frame, random.own, objects)
        loss, measures = image_loss(model, None, batch, random.own, WEIGHTS)
        run.report(TrainingEvent("step", trainer.step + 1, steps, {"loss": float(loss.detach()), **measures}))
        return loss, measures

    try:
        trainer.run(task, lambda step: max(run.done, step / steps), lambda step: run.is_stopping or step >= steps)
        if trainer.step:
            model.load_state_dict(trainer.averaged_state())
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(wanted[name])
        model.eval()


def _can_be_seen(model: SAM2Base, video: TrainingVideo, frame: int) -> bool:
    """Whether a frame has an object of at least a pixel at the model's input size."""
    for mask in (video.masks(frame) or {}).values():
        step = max(side / size for side, size in zip(mask.shape, model.input_size, strict=True))
        if np.count_nonzero(mask) >= max(1.0, step * step):
            return True
    return False


def _batch(model: SAM2Base, video: TrainingVideo, frame: int, random: np.random.Generator, count: int) -> Batch | None:
    """One frame at the model's input size, and some of its objects; None if they are too small to be seen there."""
    device, size = next(model.parameters()).device, model.input_size
    labels = torch.zeros(1, 1, *size, dtype=torch.int64)
    masks = list((video.masks(frame) or {}).items())
    # where masks overlap, a random one lies on top
    for number in random.permutation(len(masks)).tolist():
        mask = torch.from_numpy(np.ascontiguousarray(masks[number][1]))[None, None].float()
        labels[0][F.interpolate(mask, size, mode="nearest-exact")[0] > 0] = masks[number][0]
    seen = [number for number in torch.unique(labels).tolist() if number]
    if not seen:
        return None
    chosen = random.choice(seen, count, replace=len(seen) < count).tolist()
    pixels = torch.from_numpy(np.ascontiguousarray(video.image(frame))).to(device).permute(2, 0, 1)[None].float() / 255
    shrinks = pixels.shape[-1] > size[1]
    pixels = F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=shrinks)
    mean, deviation = (torch.tensor(values, device=device)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    return Batch(((pixels - mean) / deviation)[None], labels.to(device), torch.tensor([chosen], device=device))

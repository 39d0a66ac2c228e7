"""SAM 2 in training: prompts are simulated from the truth, tracking runs as in use, mistakes are clicked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sam2_core.errors import ConfigError
from sam2_core.model import FrameOutput, ImageEncoder, ImageFeatures, MemoryBank, PointPrompts, SAM2Base
from sam2_core.model.memory_attention import MemoryAttention
from sam2_core.model.memory_encoder import MemoryEncoder
from sam2_core.training.batch import BatchedVideoDatapoint
from sam2_core.training.losses import PromptStep
from sam2_core.training.prompt_plan import PromptOptions, PromptPlan, draw_plan
from sam2_core.training.prompt_sampling import get_next_point, sample_box_points


@dataclass(frozen=True)
class TrackedFrame(Sequence[PromptStep]):
    """What the network said on one frame: once, or once more after each correction.

    Attributes
    ----------
    rounds : tuple of PromptStep
        Masks at the input size; this is also what the frame is a sequence of.
    points : tuple of PointPrompts or None
        The points of each round; None where there were none.
    output : FrameOutput
        Of the last round, with memory: what later frames see.
    is_given : bool
        The mask was the prompt, and is handed back.
    """

    rounds: tuple[PromptStep, ...]
    points: tuple[PointPrompts | None, ...]
    output: FrameOutput
    is_given: bool = False

    @overload
    def __getitem__(self, index: int) -> PromptStep: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PromptStep, ...]: ...

    def __getitem__(self, index: int | slice) -> PromptStep | tuple[PromptStep, ...]:
        return self.rounds[index]

    def __len__(self) -> int:
        return len(self.rounds)


class SAM2Train(SAM2Base):
    """The network, called with a batch of videos and their masks.

    Parameters
    ----------
    image_encoder, memory_attention, memory_encoder
        See :class:`~sam2_core.model.SAM2Base`, which also takes the remaining options.
    prob_to_use_pt_input_for_train, prob_to_use_pt_input_for_eval : float
        How often a video is prompted with points or boxes rather than with the mask itself. Single images always are.
    prob_to_use_box_input_for_train, prob_to_use_box_input_for_eval : float
        How often a box stands for the first point.
    num_frames_to_correct_for_train, num_frames_to_correct_for_eval : int
        Frames that receive correction clicks, the prompted ones among them.
    rand_frames_to_correct_for_train, rand_frames_to_correct_for_eval : bool
        A random number of them instead, up to that.
    num_init_cond_frames_for_train, num_init_cond_frames_for_eval : int
        Frames prompted before tracking starts; the first always is.
    rand_init_cond_frames_for_train, rand_init_cond_frames_for_eval : bool
        A random number of them instead, up to that.
    add_all_frames_to_correct_as_cond : bool
        Corrected frames are remembered as prompted ones.
    num_correction_pt_per_frame : int
        Correction clicks on each frame that is corrected, one after another.
    pt_sampling_for_eval : {"center", "uniform"}
        Where clicks fall in evaluation: the middle of the largest error, or anywhere in an error. In training anywhere.
    prob_to_sample_from_gt_for_train : float
        How often a correction click falls anywhere in the object instead of in an error.
    use_act_ckpt_iterative_pt_sampling : bool
        Compute decoder activations of corrections again in the backward pass instead of keeping them.
    forward_backbone_per_frame_for_eval : bool
        In evaluation, encode each frame when it is tracked: long videos need not fit in memory.
    freeze_image_encoder : bool
        Do not train the image encoder.
    **options
        Of :class:`~sam2_core.model.SAM2Base`.

    Raises
    ------
    ConfigError
        Fewer corrected frames than prompted ones, or a value outside its range.

    Notes
    -----
    ``rng`` decides which frames are prompted and how. In a run of several processes it has to give all of them the
    same numbers, so that no process waits for another; where clicks fall is drawn from torch's random numbers.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        memory_attention: MemoryAttention,
        memory_encoder: MemoryEncoder,
        prob_to_use_pt_input_for_train: float = 0.0,
        prob_to_use_pt_input_for_eval: float = 0.0,
        prob_to_use_box_input_for_train: float = 0.0,
        prob_to_use_box_input_for_eval: float = 0.0,
        num_frames_to_correct_for_train: int = 1,
        num_frames_to_correct_for_eval: int = 1,
        rand_frames_to_correct_for_train: bool = False,
        rand_frames_to_correct_for_eval: bool = False,
        num_init_cond_frames_for_train: int = 1,
        num_init_cond_frames_for_eval: int = 1,
        rand_init_cond_frames_for_train: bool = True,
        rand_init_cond_frames_for_eval: bool = False,
        add_all_frames_to_correct_as_cond: bool = False,
        num_correction_pt_per_frame: int = 7,
        pt_sampling_for_eval: str = "center",
        prob_to_sample_from_gt_for_train: float = 0.0,
        use_act_ckpt_iterative_pt_sampling: bool = False,
        forward_backbone_per_frame_for_eval: bool = False,
        freeze_image_encoder: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(image_encoder, memory_attention, memory_encoder, **options)
        self.prompts_in_training = PromptOptions(
            prob_to_use_pt_input_for_train,
            prob_to_use_box_input_for_train,
            num_frames_to_correct_for_train,
            rand_frames_to_correct_for_train,
            num_init_cond_frames_for_train,
            rand_init_cond_frames_for_train,
        )
        self.prompts_in_evaluation = PromptOptions(
            prob_to_use_pt_input_for_eval,
            prob_to_use_box_input_for_eval,
            num_frames_to_correct_for_eval,
            rand_frames_to_correct_for_eval,
            num_init_cond_frames_for_eval,
            rand_init_cond_frames_for_eval,
        )
        if pt_sampling_for_eval not in ("center", "uniform"):
            raise ConfigError(f'pt_sampling_for_eval is "center" or "uniform", got {pt_sampling_for_eval!r}')
        if num_correction_pt_per_frame < 0:
            raise ConfigError(f"num_correction_pt_per_frame is 0 or more, got {num_correction_pt_per_frame}")
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        self.num_correction_pt_per_frame = num_correction_pt_per_frame
        self.pt_sampling_for_eval = pt_sampling_for_eval
        self.prob_to_sample_from_gt_for_train = prob_to_sample_from_gt_for_train
        self.use_act_ckpt_iterative_pt_sampling = use_act_ckpt_iterative_pt_sampling
        self.forward_backbone_per_frame_for_eval = forward_backbone_per_frame_for_eval
        self.rng = np.random.default_rng(42)
        if freeze_image_encoder:
            self.image_encoder.requires_grad_(False)

    def forward(self, batch: BatchedVideoDatapoint) -> list[TrackedFrame]:  # type: ignore[override]
        """Track the objects of a batch through its frames.

        Parameters
        ----------
        batch : BatchedVideoDatapoint

        Returns
        -------
        list of TrackedFrame
            One for each frame, in order.
        """
        plan = draw_plan(
            self.rng,
            self.prompts_in_training if self.training else self.prompts_in_evaluation,
            batch.num_frames,
            usable=_usable_frames(batch),
        )
        points, masks = self._first_prompts(batch, plan)
        lazily = self.forward_backbone_per_frame_for_eval and not self.training
        encoded = None if lazily else self.forward_image(batch.flat_img_batch)
        places = batch.flat_obj_to_img_idx
        memory = MemoryBank()
        frames: dict[int, TrackedFrame] = {}
        for index in (*plan.prompted, *plan.tracked):
            features = self._features(encoded, batch, places[index])
            is_prompted = index in plan.prompted
            frame = self._track(
                index,
                is_prompted,
                features,
                points.get(index),
                masks.get(index),
                memory,
                batch.num_frames,
                batch.masks[index][:, None] if index in plan.corrected else None,
            )
            frames[index] = frame
            remembered = is_prompted or (self.add_all_frames_to_correct_as_cond and index in plan.corrected)
            (memory.conditioning if remembered else memory.recent)[index] = frame.output
        return [frames[index] for index in sorted(frames)]

    def _features(self, encoded: ImageFeatures | None, batch: BatchedVideoDatapoint, places: Tensor) -> ImageFeatures:
        """Return the features of each object's frame, encoding every frame once."""
        if encoded is None:
            unique, places = torch.unique(places, return_inverse=True)
            encoded = self.forward_image(batch.flat_img_batch[unique])
        return ImageFeatures(
            tuple(level[places] for level in encoded.maps), tuple(level[places] for level in encoded.positions)
        )

    @property
    def _click_method(self) -> str:
        return "uniform" if self.training else self.pt_sampling_for_eval

    def _first_prompts(
        self, batch: BatchedVideoDatapoint, plan: PromptPlan
    ) -> tuple[dict[int, PointPrompts], dict[int, Tensor]]:
        """Points, boxes or masks for the prompted frames."""
        if not plan.uses_points:
            return {}, {index: batch.masks[index][:, None] for index in plan.prompted}
        points: dict[int, PointPrompts] = {}
        for index, is_box in zip(plan.prompted, plan.boxes, strict=True):
            truth = batch.masks[index][:, None]
            if is_box:
                points[index] = _boxes(truth, self._click_method)
            else:
                points[index] = PointPrompts(*get_next_point(truth, None, self._click_method))
        return points, {}

    def _track(
        self,
        index: int,
        is_prompted: bool,
        features: ImageFeatures,
        points: PointPrompts | None,
        masks: Tensor | None,
        memory: MemoryBank,
        frame_count: int,
        truth: Tensor | None,
    ) -> TrackedFrame:
        """Segment one frame; with ``truth`` (O, 1, H, W) correct the result and remember the corrected one."""
        high_res = features.maps[:-1] if len(features.maps) > 1 else None
        if masks is not None and self.use_mask_input_as_output_without_sam:
            output = self.use_mask_as_output(features.maps[-1], high_res, masks)
            fused = None
        else:
            fused = self.condition_on_memory(index, is_prompted, features, memory, frame_count)
            given = None if masks is None else masks.float()
            output = self.forward_sam_heads(fused, points, given, high_res, self.use_multimask(is_prompted, points))
        rounds, asked = [_step(output)], [points]
        if truth is not None and fused is not None:
            for _ in range(self.num_correction_pt_per_frame):
                points = self._corrected(points, truth, output)
                multimask = self.use_multimask(is_prompted, points)
                arguments = (fused, points, output.low_res_masks, high_res, multimask)
                if self.use_act_ckpt_iterative_pt_sampling and not multimask:
                    output = checkpoint(self.forward_sam_heads, *arguments, use_reentrant=False)
                else:
                    output = self.forward_sam_heads(*arguments)
                rounds.append(_step(output))
                asked.append(points)
        if self.num_maskmem > 0:
            output = output.with_memory(
                self.encode_memory(
                    features, output.high_res_masks, output.object_score_logits, is_mask_from_points=points is not None
                )
            )
        return TrackedFrame(tuple(rounds), tuple(asked), output, is_given=fused is None)

    def _corrected(self, points: PointPrompts | None, truth: Tensor, output: FrameOutput) -> PointPrompts:
        """Add a click in an error of the last result, or now and then anywhere in the object."""
        share = self.prob_to_sample_from_gt_for_train if self.training else 0.0
        anywhere = share > 0 and self.rng.random() < share
        predicted = None if anywhere else output.high_res_masks > 0
        coords, labels = get_next_point(truth, predicted, self._click_method)
        if points is None:
            return PointPrompts(coords, labels)
        return PointPrompts(torch.cat((points.coords, coords), dim=1), torch.cat((points.labels, labels), dim=1))


def _step(output: FrameOutput) -> PromptStep:
    return PromptStep(output.high_res_multimasks, output.predicted_ious, output.object_score_logits)


def _usable_frames(batch: BatchedVideoDatapoint) -> list[int] | None:
    """Frames in which every object's mask is known; None for all."""
    if batch.labelled is None or bool(batch.labelled.all()):
        return None
    return torch.nonzero(batch.labelled.all(dim=1)).flatten().tolist()


def _boxes(truth: Tensor, method: str) -> PointPrompts:
    """Boxes around masks (O, 1, H, W); an object that is not there gets a click on the background instead."""
    coords, labels = sample_box_points(truth)
    absent = ~truth.flatten(1).any(dim=1)
    if bool(absent.any()):
        clicks, kinds = get_next_point(truth[absent], None, method)
        coords[absent] = clicks.expand(-1, 2, -1).to(coords.dtype)
        labels[absent] = torch.cat((kinds, torch.full_like(kinds, -1)), dim=1)
    return PointPrompts(coords, labels)

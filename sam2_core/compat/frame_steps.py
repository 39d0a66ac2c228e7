"""The steps of tracking one frame by their official names, shapes and dicts, over ours.

A mix-in for the network: what training code, and programs that drive the network frame by frame, call and override.
Features are the official flat ones, (H * W, B, C) for each level, finest first, with the levels' (H, W). A frame's
output is a dict with ``pred_masks``, ``obj_ptr``, ``maskmem_features`` and the like; ``output_dict`` holds such dicts
by frame, under ``cond_frame_outputs`` and ``non_cond_frame_outputs``.

The methods call each other as the official ones do, so that a subclass may replace one of them. Our own predictors go
the typed way and do not pass here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from sam2_core.compat.signatures import with_signature_of
from sam2_core.errors import InvalidInputError
from sam2_core.model import sam2_base
from sam2_core.model.results import EncodedMemory, FrameOutput, ImageFeatures, MemoryBank, PointPrompts

Sizes = Sequence[Sequence[int]]
#: Candidates at both resolutions, predicted IoUs, the best one at both resolutions, object pointers, object scores.
SamOutputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class FrameSteps(sam2_base.SAM2Base):
    """Official names of the steps of :meth:`~sam2_core.model.sam2_base.SAM2Base.track_step`."""

    @property
    def sam_prompt_embed_dim(self) -> int:
        """Channels of prompts and features."""
        return int(self.hidden_dim)

    @property
    def sam_image_embedding_size(self) -> int:
        """Side of the coarsest features."""
        return self.input_size[0] // self.backbone_stride

    def _prepare_backbone_features(
        self, backbone_out: Any
    ) -> tuple[Any, list[Tensor], list[Tensor], list[tuple[int, int]]]:
        """Flatten the levels: features and positions as (H * W, B, C), and the levels' (H, W)."""
        maps = backbone_out["backbone_fpn"][-self.num_feature_levels :]
        positions = backbone_out["vision_pos_enc"][-self.num_feature_levels :]
        sizes = [(int(level.shape[-2]), int(level.shape[-1])) for level in positions]
        flat = [[level.flatten(2).permute(2, 0, 1) for level in levels] for levels in (maps, positions)]
        return backbone_out, flat[0], flat[1], sizes

    def _forward_sam_heads(
        self,
        backbone_features: Tensor,
        point_inputs: Mapping[str, Tensor] | None = None,
        mask_inputs: Tensor | None = None,
        high_res_features: Sequence[Tensor] | None = None,
        multimask_output: bool = False,
    ) -> SamOutputs:
        """Decode; the points are a dict of ``point_coords`` and ``point_labels``, the result the official seven."""
        points = _point_prompts(point_inputs)
        return _seven(
            self.forward_sam_heads(backbone_features, points, mask_inputs, high_res_features, multimask_output)
        )

    def _use_mask_as_output(
        self, backbone_features: Tensor, high_res_features: Sequence[Tensor] | None, mask_inputs: Tensor
    ) -> SamOutputs:
        """Take mask prompts (B, 1, H, W) in [0, 1] as the result."""
        return _seven(self.use_mask_as_output(backbone_features, high_res_features, mask_inputs))

    def _use_multimask(self, is_init_cond_frame: bool, point_inputs: Mapping[str, Tensor] | None) -> bool:
        """Whether the decoder gives several candidates on a frame with these points."""
        return self.use_multimask(is_init_cond_frame, _point_prompts(point_inputs))

    def _apply_non_overlapping_constraints(self, pred_masks: Tensor) -> Tensor:
        """Give each pixel to the object with the highest logit, among masks (B, 1, H, W)."""
        return self.apply_non_overlapping_constraints(pred_masks)

    def _prepare_memory_conditioned_features(
        self,
        frame_idx: int,
        is_init_cond_frame: bool,
        current_vision_feats: Sequence[Tensor],
        current_vision_pos_embeds: Sequence[Tensor],
        feat_sizes: Sizes,
        output_dict: Mapping[str, Mapping[int, Mapping[str, Any]]],
        num_frames: int | None,
        track_in_reverse: bool = False,
    ) -> Tensor:
        """Let the coarsest features look at what is remembered: (B, C, H, W)."""
        features = ImageFeatures(
            _as_maps(current_vision_feats[-1:], feat_sizes[-1:]),
            _as_maps(current_vision_pos_embeds[-1:], feat_sizes[-1:]),
        )
        bank = MemoryBank()
        if not is_init_cond_frame:
            bank.conditioning = _outputs(output_dict["cond_frame_outputs"])
            bank.recent = _outputs(output_dict["non_cond_frame_outputs"])
            if not bank.conditioning:
                raise InvalidInputError(
                    f"frame {frame_idx} has nothing to remember: expected at least one frame under "
                    "output_dict['cond_frame_outputs'], or is_init_cond_frame=True"
                )
        return self.condition_on_memory(frame_idx, is_init_cond_frame, features, bank, num_frames, track_in_reverse)

    def _encode_new_memory(
        self,
        current_vision_feats: Sequence[Tensor],
        feat_sizes: Sizes,
        pred_masks_high_res: Tensor,
        object_score_logits: Tensor,
        is_mask_from_pts: bool,
    ) -> tuple[Tensor, list[Tensor]]:
        """Encode a frame and its mask logits (B, 1, H, W): memory features (B, C, h, w), and positions in a list."""
        maps = _as_maps(current_vision_feats[-1:], feat_sizes[-1:])
        memory = self.encode_memory(ImageFeatures(maps, ()), pred_masks_high_res, object_score_logits, is_mask_from_pts)
        return memory.features, [memory.position]

    def _track_step(
        self,
        frame_idx: int,
        is_init_cond_frame: bool,
        current_vision_feats: Sequence[Tensor],
        current_vision_pos_embeds: Sequence[Tensor],
        feat_sizes: Sizes,
        point_inputs: Mapping[str, Tensor] | None,
        mask_inputs: Tensor | None,
        output_dict: Mapping[str, Mapping[int, Mapping[str, Any]]],
        num_frames: int | None,
        track_in_reverse: bool,
        prev_sam_mask_logits: Tensor | None,
    ) -> tuple[dict[str, Any], SamOutputs, list[Tensor] | None, Tensor]:
        """Segment a frame without encoding its memory.

        Returns
        -------
        current_out : dict
            ``point_inputs`` and ``mask_inputs`` as given.
        sam_outputs : tuple of seven
        high_res_features : list of Tensor, or None
        pix_feat : Tensor (B, C, H, W)
            What the decoder saw.
        """
        high_res = list(_as_maps(current_vision_feats[:-1], feat_sizes[:-1])) or None
        if mask_inputs is not None and self.use_mask_input_as_output_without_sam:
            (pix_feat,) = _as_maps(current_vision_feats[-1:], feat_sizes[-1:])
            outputs = self._use_mask_as_output(pix_feat, high_res, mask_inputs)
        else:
            pix_feat = self._prepare_memory_conditioned_features(
                frame_idx=frame_idx,
                is_init_cond_frame=is_init_cond_frame,
                current_vision_feats=current_vision_feats[-1:],
                current_vision_pos_embeds=current_vision_pos_embeds[-1:],
                feat_sizes=feat_sizes[-1:],
                output_dict=output_dict,
                num_frames=num_frames,
                track_in_reverse=track_in_reverse,
            )
            prompt = mask_inputs
            if prev_sam_mask_logits is not None:
                if point_inputs is None or mask_inputs is not None:
                    raise InvalidInputError("prev_sam_mask_logits goes with points and without a mask prompt")
                prompt = prev_sam_mask_logits
            outputs = self._forward_sam_heads(
                backbone_features=pix_feat,
                point_inputs=point_inputs,
                mask_inputs=prompt,
                high_res_features=high_res,
                multimask_output=self._use_multimask(is_init_cond_frame, point_inputs),
            )
        return {"point_inputs": point_inputs, "mask_inputs": mask_inputs}, outputs, high_res, pix_feat

    def _encode_memory_in_output(
        self,
        current_vision_feats: Sequence[Tensor],
        feat_sizes: Sizes,
        point_inputs: Mapping[str, Tensor] | None,
        run_mem_encoder: bool,
        high_res_masks: Tensor,
        object_score_logits: Tensor,
        current_out: dict[str, Any],
    ) -> None:
        """Put ``maskmem_features`` and ``maskmem_pos_enc`` into a frame's output, None where none is encoded."""
        features, positions = None, None
        if run_mem_encoder and self.num_maskmem > 0:
            features, positions = self._encode_new_memory(
                current_vision_feats=current_vision_feats,
                feat_sizes=feat_sizes,
                pred_masks_high_res=high_res_masks,
                object_score_logits=object_score_logits,
                is_mask_from_pts=point_inputs is not None,
            )
        current_out["maskmem_features"], current_out["maskmem_pos_enc"] = features, positions

    def _official_track_step(
        self,
        frame_idx: int,
        is_init_cond_frame: bool,
        current_vision_feats: Sequence[Tensor],
        current_vision_pos_embeds: Sequence[Tensor],
        feat_sizes: Sizes,
        point_inputs: Mapping[str, Tensor] | None,
        mask_inputs: Tensor | None,
        output_dict: Mapping[str, Mapping[int, Mapping[str, Any]]],
        num_frames: int | None,
        track_in_reverse: bool = False,
        run_mem_encoder: bool = True,
        prev_sam_mask_logits: Tensor | None = None,
    ) -> dict[str, Any]:
        current_out, outputs, _, _ = self._track_step(
            frame_idx,
            is_init_cond_frame,
            current_vision_feats,
            current_vision_pos_embeds,
            feat_sizes,
            point_inputs,
            mask_inputs,
            output_dict,
            num_frames,
            track_in_reverse,
            prev_sam_mask_logits,
        )
        _, _, _, low_res_masks, high_res_masks, pointer, object_score_logits = outputs
        current_out |= {"pred_masks": low_res_masks, "pred_masks_high_res": high_res_masks, "obj_ptr": pointer}
        if not self.training:
            current_out["object_score_logits"] = object_score_logits
        self._encode_memory_in_output(
            current_vision_feats,
            feat_sizes,
            point_inputs,
            run_mem_encoder,
            high_res_masks,
            object_score_logits,
            current_out,
        )
        return current_out

    @with_signature_of(_official_track_step)
    def track_step(self, *args: Any, **kwargs: Any) -> Any:
        """Segment a batch of objects on one frame, either way.

        With ``features`` and ``memory`` this is
        :meth:`sam2_core.model.sam2_base.SAM2Base.track_step`, as our predictors call it. Otherwise it is the official
        one: the arguments of :meth:`_track_step`, then ``run_mem_encoder`` before ``prev_sam_mask_logits``; and the
        result a dict.
        """
        if "features" in kwargs or (len(args) > 2 and isinstance(args[2], ImageFeatures)):
            return super().track_step(*args, **kwargs)
        return self._official_track_step(*args, **kwargs)


def _point_prompts(point_inputs: Mapping[str, Tensor] | None) -> PointPrompts | None:
    if point_inputs is None:
        return None
    return PointPrompts(point_inputs["point_coords"], point_inputs["point_labels"])


def _seven(output: FrameOutput) -> SamOutputs:
    return (
        output.low_res_multimasks,
        output.high_res_multimasks,
        output.predicted_ious,
        output.low_res_masks,
        output.high_res_masks,
        output.object_pointer,
        output.object_score_logits,
    )


def _as_maps(levels: Sequence[Tensor], sizes: Sizes) -> tuple[Tensor, ...]:
    """Bring flat levels (H * W, B, C) back to (B, C, H, W)."""
    return tuple(
        level.permute(1, 2, 0).unflatten(2, (int(height), int(width)))
        for level, (height, width) in zip(levels, sizes, strict=True)
    )


def _outputs(official: Mapping[int, Mapping[str, Any]]) -> dict[int, FrameOutput]:
    """Official outputs by frame as what our memory reading takes; it looks at memories and pointers alone."""
    return {frame: _output(out) for frame, out in official.items()}


def _output(out: Mapping[str, Any]) -> FrameOutput:
    features, positions = out["maskmem_features"], out["maskmem_pos_enc"]
    pointer = out["obj_ptr"]
    nothing = pointer.new_empty(len(pointer), 0)
    return FrameOutput(
        low_res_multimasks=nothing,
        high_res_multimasks=nothing,
        predicted_ious=nothing,
        low_res_masks=nothing,
        high_res_masks=nothing,
        object_pointer=pointer,
        object_score_logits=nothing,
        memory=None if features is None else EncodedMemory(features, positions[-1]),
    )

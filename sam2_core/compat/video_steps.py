"""The private methods of the official video predictor that programs written for it call or look into, over ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from sam2_core.compat.network import OfficialFeatures, SAM2Base
from sam2_core.errors import InvalidInputError
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from sam2_core.kernels.mask_cleaning import fill_holes_in_mask_scores


class VideoSteps(SAM2Base, SAM2VideoPredictor):
    """Official names for parts of prompting and propagation; a mix-in for the predictor.

    They read the state and return what they found; only the predictor's public methods change it.
    """

    def __init__(
        self,
        fill_hole_area: int = 0,
        non_overlap_masks: bool = False,
        clear_non_cond_mem_around_input: bool = False,
        add_all_frames_to_correct_as_cond: bool = False,
        *,
        official_frame_count: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_hole_area,
            non_overlap_masks,
            clear_non_cond_mem_around_input,
            add_all_frames_to_correct_as_cond,
            official_frame_count=official_frame_count,
            **kwargs,
        )

    def _obj_id_to_idx(self, inference_state: VideoState, obj_id: Any) -> int:
        """Position of an object in the results.

        Raises
        ------
        StateError
            There is no such object. The official method adds one here; ours comes with its first prompt.
        """
        inference_state.existing_object(obj_id)
        return inference_state.obj_id_to_idx[obj_id]

    def _obj_idx_to_id(self, inference_state: VideoState, obj_idx: int) -> Any:
        """Object id at a position in the results."""
        return inference_state.obj_idx_to_id[obj_idx]

    def _get_obj_num(self, inference_state: VideoState) -> int:
        """Number of objects."""
        return len(inference_state.objects)

    def _get_image_feature(
        self, inference_state: VideoState, frame_idx: int, batch_size: int
    ) -> tuple[Tensor, OfficialFeatures, list[Tensor], list[Tensor], list[tuple[int, int]]]:
        """Features of a frame for some objects, computed once for a frame.

        Returns
        -------
        image : Tensor (B, 3, H, W)
        backbone_out : OfficialFeatures
        vision_feats, vision_pos_embeds : list of Tensor (H * W, B, C)
        feat_sizes : list of (int, int)
        """
        image = inference_state.images[frame_idx].to(self.device).float()[None].expand(batch_size, -1, -1, -1)
        features = self._features(inference_state, frame_idx).expand(batch_size)
        return (image, *self._prepare_backbone_features(OfficialFeatures(features.maps, features.positions)))

    def _run_single_frame_inference(
        self,
        inference_state: VideoState,
        output_dict: Mapping[str, Mapping[int, Mapping[str, Any]]],
        frame_idx: int,
        batch_size: int,
        is_init_cond_frame: bool,
        point_inputs: Mapping[str, Tensor] | None,
        mask_inputs: Tensor | None,
        reverse: bool,
        run_mem_encoder: bool,
        prev_sam_mask_logits: Tensor | None = None,
    ) -> tuple[dict[str, Any], Tensor]:
        """Segment a frame with memories and prompts of the caller's.

        Returns
        -------
        dict
            ``maskmem_features`` (in the model's dtype), ``maskmem_pos_enc``, ``pred_masks``, ``obj_ptr`` and
            ``object_score_logits``; memories and masks on the storage device.
        Tensor (B, 1, h, w)
            ``pred_masks`` on the model's device.
        """
        if point_inputs is not None and mask_inputs is not None:
            raise InvalidInputError("a frame has points or a mask, never both")
        _, _, features, positions, sizes = self._get_image_feature(inference_state, frame_idx, batch_size)
        current = self.track_step(
            frame_idx=frame_idx,
            is_init_cond_frame=is_init_cond_frame,
            current_vision_feats=features,
            current_vision_pos_embeds=positions,
            feat_sizes=sizes,
            point_inputs=point_inputs,
            mask_inputs=mask_inputs,
            output_dict=output_dict,
            num_frames=inference_state.num_frames,
            track_in_reverse=reverse,
            run_mem_encoder=run_mem_encoder,
            prev_sam_mask_logits=prev_sam_mask_logits,
        )
        masks = current["pred_masks"]
        if self.fill_hole_area > 0:
            masks = fill_holes_in_mask_scores(masks, self.fill_hole_area)
        memory = current["maskmem_features"]
        storage = inference_state.storage_device
        compact = {
            "maskmem_features": None if memory is None else memory.to(storage, non_blocking=True),
            "maskmem_pos_enc": current["maskmem_pos_enc"],
            "pred_masks": masks.to(storage, non_blocking=True),
            "obj_ptr": current["obj_ptr"],
            "object_score_logits": current["object_score_logits"],
        }
        return compact, masks

    def _run_memory_encoder(
        self,
        inference_state: VideoState,
        frame_idx: int,
        batch_size: int,
        high_res_masks: Tensor,
        object_score_logits: Tensor,
        is_mask_from_pts: bool,
    ) -> tuple[Tensor, list[Tensor]]:
        """Encode mask logits (B, 1, H, W) of a frame as memories, on the storage device; and their positions."""
        _, _, features, _, sizes = self._get_image_feature(inference_state, frame_idx, batch_size)
        memory, positions = self._encode_new_memory(
            features, sizes, high_res_masks, object_score_logits, is_mask_from_pts
        )
        return memory.to(inference_state.storage_device, non_blocking=True), positions

    def _consolidate_temp_output_across_obj(
        self, inference_state: VideoState, frame_idx: int, is_cond: bool, consolidate_at_video_res: bool = False
    ) -> dict[str, Tensor]:
        """Masks of all objects on a frame, -1024 where there is none.

        Returns
        -------
        dict
            ``pred_masks`` (N, 1, h, w) or ``pred_masks_video_res`` (N, 1, H, W): logits on the storage device.
        """
        masks = self.masks_on_frame(inference_state, frame_idx).low_res_logits
        key = "pred_masks"
        if consolidate_at_video_res:
            key, masks = "pred_masks_video_res", self._at_video_size(inference_state, masks)
        return {key: masks.to(inference_state.storage_device)}

    def _get_orig_video_res_output(self, inference_state: VideoState, any_res_masks: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits (N, 1, any, any) on the model's device, and at the video's size without what must not overlap."""
        masks = any_res_masks.to(inference_state.device, non_blocking=True)
        full = self._at_video_size(inference_state, masks)
        return masks, self._apply_non_overlapping_constraints(full) if self.non_overlap_masks else full

    def _reset_tracking_results(self, inference_state: VideoState) -> None:
        """Forget prompts and results of all objects; official programs call it before they reset the objects too."""
        self.reset_state(inference_state)

    @staticmethod
    def _at_video_size(state: VideoState, masks: Tensor) -> Tensor:
        size = (state.video_height, state.video_width)
        if masks.shape[-2:] == size or not len(masks):
            return masks if len(masks) else masks.new_empty(0, 1, *size)
        return F.interpolate(masks, size=size, mode="bilinear", align_corners=False)

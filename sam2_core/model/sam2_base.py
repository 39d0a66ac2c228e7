"""SAM 2: image encoder, memory and mask decoder as one network (Ravi et al. 2024, arXiv:2408.00714)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.model.frame_segmenter import FrameSegmenter, small_parameter
from sam2_core.model.image_encoder import ImageEncoder
from sam2_core.model.memory_attention import MemoryAttention
from sam2_core.model.memory_encoder import MemoryEncoder
from sam2_core.model.memory_selection import MemoryReading, read_memory
from sam2_core.model.position_encoding import get_1d_sine_pe
from sam2_core.model.results import (
    EncodedMemory,
    FrameOutput,
    ImageFeatures,
    MemoryBank,
    MemoryTokens,
    PointPrompts,
)


class SAM2Base(FrameSegmenter):
    """The network, and one step of tracking.

    Everything works on a batch of objects (B) that share frames; each has its own memory. All entries accept any
    floating dtype and compute in the dtype of the weights.

    Parameters
    ----------
    image_encoder : ImageEncoder
    memory_attention : MemoryAttention
    memory_encoder : MemoryEncoder
    num_maskmem : int
        Memories a frame attends to, 0 for none.
    image_size : int or (int, int)
        Side, or height and width, of the input in pixels; multiples of 32.
    backbone_stride : int
        Stride of the coarsest features.
    sigmoid_scale_for_mem_enc, sigmoid_bias_for_mem_enc : float
        Applied to mask probabilities before they are encoded.
    binarize_mask_from_pts_for_mem_enc : bool
        Encode masks of clicked frames as 0 and 1 (evaluation only).
    use_mask_input_as_output_without_sam : bool
        Take a mask prompt as the frame's result.
    max_cond_frames_in_attn : int
        Conditioning frames to attend to, -1 for all.
    directly_add_no_mem_embed : bool
        On frames without memory, add an embedding rather than attend to a single token.
    use_high_res_features_in_sam : bool
        Give the mask decoder the maps of stride 4 and 8.
    multimask_output_in_sam : bool
        Let ambiguous prompts have several candidates, between ``multimask_min_pt_num`` and ``multimask_max_pt_num``
        points; on tracked frames too with ``multimask_output_for_tracking``.
    use_multimask_token_for_obj_ptr : bool
        Make the object pointer from the chosen candidate's token.
    iou_prediction_use_sigmoid : bool
    memory_temporal_stride_for_eval : int
        Take every n-th frame as recent memory.
    non_overlap_masks_for_mem_enc : bool
        Give each pixel to one object of the batch before masks are encoded (evaluation only).
    use_obj_ptrs_in_encoder : bool
        Attend to object pointers, up to ``max_obj_ptrs_in_encoder`` frames away.
    add_tpos_enc_to_obj_ptrs, proj_tpos_enc_in_obj_ptrs, use_signed_tpos_enc_to_obj_ptrs : bool
        Encode how far away a pointer is; through a projection; with a sign.
    only_obj_ptrs_in_the_past_for_eval : bool
    pred_obj_scores, pred_obj_scores_mlp : bool
        Predict whether the object is in the frame; with an MLP.
    fixed_no_obj_ptr, soft_no_obj_ptr : bool
        Replace the pointer where the object is absent; in proportion to the score.
    use_mlp_for_obj_ptr_proj : bool
    no_obj_embed_spatial : bool
        Add an embedding to memories of frames without the object.
    sam_mask_decoder_extra_args : mapping, optional
        Further arguments of :class:`MaskDecoder`.
    compile_image_encoder : bool
        Compile the encoder's forward with ``torch.compile``.

    Raises
    ------
    ConfigError
        Options that contradict each other.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        memory_attention: MemoryAttention,
        memory_encoder: MemoryEncoder,
        num_maskmem: int = 7,
        image_size: int | Sequence[int] = 512,
        backbone_stride: int = 16,
        sigmoid_scale_for_mem_enc: float = 1.0,
        sigmoid_bias_for_mem_enc: float = 0.0,
        binarize_mask_from_pts_for_mem_enc: bool = False,
        use_mask_input_as_output_without_sam: bool = False,
        max_cond_frames_in_attn: int = -1,
        directly_add_no_mem_embed: bool = False,
        use_high_res_features_in_sam: bool = False,
        multimask_output_in_sam: bool = False,
        multimask_min_pt_num: int = 1,
        multimask_max_pt_num: int = 1,
        multimask_output_for_tracking: bool = False,
        use_multimask_token_for_obj_ptr: bool = False,
        iou_prediction_use_sigmoid: bool = False,
        memory_temporal_stride_for_eval: int = 1,
        non_overlap_masks_for_mem_enc: bool = False,
        use_obj_ptrs_in_encoder: bool = False,
        max_obj_ptrs_in_encoder: int = 16,
        add_tpos_enc_to_obj_ptrs: bool = True,
        proj_tpos_enc_in_obj_ptrs: bool = False,
        use_signed_tpos_enc_to_obj_ptrs: bool = False,
        only_obj_ptrs_in_the_past_for_eval: bool = False,
        pred_obj_scores: bool = False,
        pred_obj_scores_mlp: bool = False,
        fixed_no_obj_ptr: bool = False,
        soft_no_obj_ptr: bool = False,
        use_mlp_for_obj_ptr_proj: bool = False,
        no_obj_embed_spatial: bool = False,
        sam_mask_decoder_extra_args: Mapping[str, Any] | None = None,
        compile_image_encoder: bool = False,
    ) -> None:
        super().__init__(
            image_encoder,
            image_size,
            backbone_stride,
            directly_add_no_mem_embed=directly_add_no_mem_embed,
            use_high_res_features_in_sam=use_high_res_features_in_sam,
            multimask_output_in_sam=multimask_output_in_sam,
            multimask_min_pt_num=multimask_min_pt_num,
            multimask_max_pt_num=multimask_max_pt_num,
            multimask_output_for_tracking=multimask_output_for_tracking,
            use_multimask_token_for_obj_ptr=use_multimask_token_for_obj_ptr,
            iou_prediction_use_sigmoid=iou_prediction_use_sigmoid,
            use_obj_ptrs_in_encoder=use_obj_ptrs_in_encoder,
            pred_obj_scores=pred_obj_scores,
            pred_obj_scores_mlp=pred_obj_scores_mlp,
            fixed_no_obj_ptr=fixed_no_obj_ptr,
            soft_no_obj_ptr=soft_no_obj_ptr,
            use_mlp_for_obj_ptr_proj=use_mlp_for_obj_ptr_proj,
            sam_mask_decoder_extra_args=sam_mask_decoder_extra_args,
        )
        if proj_tpos_enc_in_obj_ptrs and not add_tpos_enc_to_obj_ptrs:
            raise ConfigError("proj_tpos_enc_in_obj_ptrs needs add_tpos_enc_to_obj_ptrs")
        self.memory_attention = memory_attention
        self.memory_encoder = memory_encoder
        projection = getattr(memory_encoder, "out_proj", None)
        self.mem_dim = projection.out_channels if isinstance(projection, nn.Conv2d) else self.hidden_dim
        self.num_maskmem = num_maskmem
        self.max_cond_frames_in_attn = max_cond_frames_in_attn
        self.memory_temporal_stride_for_eval = memory_temporal_stride_for_eval
        self.sigmoid_scale_for_mem_enc = sigmoid_scale_for_mem_enc
        self.sigmoid_bias_for_mem_enc = sigmoid_bias_for_mem_enc
        self.binarize_mask_from_pts_for_mem_enc = binarize_mask_from_pts_for_mem_enc
        self.non_overlap_masks_for_mem_enc = non_overlap_masks_for_mem_enc
        self.use_mask_input_as_output_without_sam = use_mask_input_as_output_without_sam
        self.max_obj_ptrs_in_encoder = max_obj_ptrs_in_encoder
        self.add_tpos_enc_to_obj_ptrs = add_tpos_enc_to_obj_ptrs
        self.proj_tpos_enc_in_obj_ptrs = proj_tpos_enc_in_obj_ptrs
        self.use_signed_tpos_enc_to_obj_ptrs = use_signed_tpos_enc_to_obj_ptrs
        self.only_obj_ptrs_in_the_past_for_eval = only_obj_ptrs_in_the_past_for_eval

        # How far back in time a memory lies, and what stands for no memory and no object.
        self.maskmem_tpos_enc = small_parameter(num_maskmem, 1, 1, self.mem_dim)
        self.no_mem_pos_enc = small_parameter(1, 1, self.hidden_dim)
        self.no_obj_embed_spatial = small_parameter(1, self.mem_dim) if no_obj_embed_spatial else None
        width = self.hidden_dim
        self.obj_ptr_tpos_proj = nn.Linear(width, self.mem_dim) if proj_tpos_enc_in_obj_ptrs else nn.Identity()

        if compile_image_encoder:
            # The function, not the module: state-dict keys stay as they are.
            self.image_encoder.forward = torch.compile(  # type: ignore[method-assign]
                self.image_encoder.forward, mode="max-autotune", fullgraph=True, dynamic=False
            )

    def condition_on_memory(
        self,
        frame_idx: int,
        is_init_cond_frame: bool,
        features: ImageFeatures,
        memory: MemoryBank | MemoryTokens,
        num_frames: int | None,
        track_in_reverse: bool = False,
    ) -> Tensor:
        """Let a frame's features (B, ...) look at what is remembered: (B, C, h, w)."""
        current = features.maps[-1]
        if self.num_maskmem == 0:
            return current
        if is_init_cond_frame and self.directly_add_no_mem_embed:
            return self.image_embedding(features)
        batch = current.shape[0]
        if is_init_cond_frame:
            if self.mem_dim != self.hidden_dim:
                raise ConfigError(
                    f"a model with memories of {self.mem_dim} channels and features of {self.hidden_dim} needs "
                    "directly_add_no_mem_embed=True"
                )
            tokens, encodings = (t.expand(batch, 1, -1) for t in (self.no_mem_embed, self.no_mem_pos_enc))
            unplaced = 1
        elif isinstance(memory, MemoryTokens):
            tokens, encodings, unplaced = memory.tokens, memory.encodings, memory.pointer_tokens
        else:
            limit = (
                self.max_obj_ptrs_in_encoder if num_frames is None else min(num_frames, self.max_obj_ptrs_in_encoder)
            )
            reading = read_memory(
                frame_idx,
                memory,
                num_maskmem=self.num_maskmem,
                max_cond_frames=self.max_cond_frames_in_attn,
                stride=1 if self.training else self.memory_temporal_stride_for_eval,
                max_pointers=limit if self.use_obj_ptrs_in_encoder else 0,
                num_frames=num_frames,
                reverse=track_in_reverse,
                signed_distance=self.use_signed_tpos_enc_to_obj_ptrs,
                past_pointers_only=self.only_obj_ptrs_in_the_past_for_eval and not self.training,
            )
            tokens, encodings, unplaced = self._memory_tokens(reading, batch, limit)
        height, width = features.grid
        fused = self.memory_attention(
            curr=current.flatten(2).transpose(1, 2),
            curr_pos=features.positions[-1].flatten(2).transpose(1, 2),
            memory=tokens,
            memory_pos=encodings,
            num_obj_ptr_tokens=unplaced,
            grid=(height, width),
            opening=features.opening,
        )
        return fused.transpose(1, 2).unflatten(2, (height, width))

    def with_opening(self, features: ImageFeatures) -> ImageFeatures:
        """Return features (B, ...) with the start of the memory attention done, to be shared by a frame's objects."""
        if (
            self.num_maskmem == 0
            or features.opening is not None
            or not isinstance(self.memory_attention, MemoryAttention)
        ):
            return features
        tokens, positions = (t[-1].flatten(2).transpose(1, 2) for t in (features.maps, features.positions))
        return replace(features, opening=self.memory_attention.opening(tokens, positions, features.grid))

    def _memory_tokens(self, reading: MemoryReading, batch: int, pointer_limit: int) -> tuple[Tensor, Tensor, int]:
        """Return memory tokens and encodings (B, M, C_mem), and how many of the last are pointers."""
        tokens: list[Tensor] = []
        encodings: list[Tensor] = []
        for slot, output in reading.frames:
            if output.memory is None:
                continue
            tokens.append(self._own(output.memory.features).flatten(2).transpose(1, 2))
            spatial = self._own(output.memory.position).flatten(2).transpose(1, 2)
            encodings.append((spatial + self.maskmem_tpos_enc[slot]).expand(batch, -1, -1))
        unplaced = 0
        if reading.pointers:
            pointers = torch.stack([self._own(output.object_pointer) for _, output in reading.pointers], dim=1)
            distances = [distance for distance, _ in reading.pointers]
            parts = max(self.hidden_dim // self.mem_dim, 1)
            encoding = self._pointer_encoding(distances, pointer_limit).repeat_interleave(parts, dim=0)
            tokens.append(pointers.reshape(batch, -1, self.mem_dim))
            encodings.append(encoding.expand(batch, -1, -1))
            unplaced = encoding.shape[0]
        if not tokens:
            raise InvalidInputError(
                "the conditioning frames have no encoded memory: run the memory encoder on them first"
            )
        return torch.cat(tokens, dim=1), torch.cat(encodings, dim=1), unplaced

    def _own(self, stored: Tensor) -> Tensor:
        """Bring what may be kept elsewhere to the model's device and dtype."""
        return stored.to(device=self.device, dtype=self.dtype, non_blocking=True)

    def _pointer_encoding(self, distances: Sequence[int], limit: int) -> Tensor:
        """Encode how many frames away pointers are: (N, C_mem)."""
        if not self.add_tpos_enc_to_obj_ptrs:
            return torch.zeros(len(distances), self.mem_dim, device=self.device, dtype=self.dtype)
        width = self.hidden_dim if self.proj_tpos_enc_in_obj_ptrs else self.mem_dim
        position = torch.tensor(distances, dtype=torch.float32).to(self.device, non_blocking=True) / max(limit - 1, 1)
        return self.obj_ptr_tpos_proj(get_1d_sine_pe(position, width).to(self.dtype))

    def encode_memory(
        self, features: ImageFeatures, high_res_masks: Tensor, object_score_logits: Tensor, is_mask_from_points: bool
    ) -> EncodedMemory:
        """Encode a frame and its masks as a memory.

        Parameters
        ----------
        features : ImageFeatures
            Of the frame, for B objects (or one image for all).
        high_res_masks : Tensor (B, 1, H, W)
            Logits.
        object_score_logits : Tensor (B, 1)
        is_mask_from_points : bool
            The frame was clicked.

        Returns
        -------
        EncodedMemory
        """
        if self.non_overlap_masks_for_mem_enc and not self.training:
            high_res_masks = self.apply_non_overlapping_constraints(high_res_masks)
        if self.binarize_mask_from_pts_for_mem_enc and is_mask_from_points and not self.training:
            mask = (high_res_masks > 0).float()
        else:
            mask = high_res_masks.float().sigmoid()
        mask = mask * self.sigmoid_scale_for_mem_enc + self.sigmoid_bias_for_mem_enc
        encoded: EncodedMemory = self.memory_encoder(features.maps[-1], mask, skip_mask_sigmoid=True)
        if self.no_obj_embed_spatial is None:
            return encoded
        absent = (object_score_logits <= 0).to(encoded.features.dtype)
        mark = absent[..., None, None] * self.no_obj_embed_spatial[..., None, None]
        return EncodedMemory(encoded.features + mark, encoded.position)

    def track_step(
        self,
        frame_idx: int,
        is_init_cond_frame: bool,
        features: ImageFeatures,
        point_inputs: PointPrompts | None,
        mask_inputs: Tensor | None,
        memory: MemoryBank | MemoryTokens,
        num_frames: int | None,
        track_in_reverse: bool = False,
        run_mem_encoder: bool = True,
        prev_sam_mask_logits: Tensor | None = None,
    ) -> FrameOutput:
        """Segment a batch of objects on one frame.

        Parameters
        ----------
        frame_idx : int
        is_init_cond_frame : bool
            The frame has prompts and was not tracked before: memory is not read.
        features : ImageFeatures
            Of the frame, batch B.
        point_inputs : PointPrompts, optional
        mask_inputs : Tensor (B, 1, H, W), optional
            Mask prompts in [0, 1].
        memory : MemoryBank or MemoryTokens
            Of these objects: outputs of earlier frames to choose from, or what was chosen.
        num_frames : int, optional
            Length of the stack.
        track_in_reverse : bool
        run_mem_encoder : bool
            Encode the result as a memory.
        prev_sam_mask_logits : Tensor (B, 1, h, w), optional
            An earlier result on this frame that points correct.

        Returns
        -------
        FrameOutput

        Raises
        ------
        InvalidInputError
            ``prev_sam_mask_logits`` without points or beside a mask prompt.
        """
        high_res = features.maps[:-1] if len(features.maps) > 1 else None
        if mask_inputs is not None and self.use_mask_input_as_output_without_sam:
            output = self.use_mask_as_output(features.maps[-1], high_res, mask_inputs)
        else:
            fused = self.condition_on_memory(
                frame_idx, is_init_cond_frame, features, memory, num_frames, track_in_reverse
            )
            if prev_sam_mask_logits is not None:
                if point_inputs is None or mask_inputs is not None:
                    raise InvalidInputError("prev_sam_mask_logits goes with points and without a mask prompt")
                mask_inputs = prev_sam_mask_logits
            multimask = self.use_multimask(is_init_cond_frame, point_inputs)
            output = self.forward_sam_heads(fused, point_inputs, mask_inputs, high_res, multimask)
        if not run_mem_encoder or self.num_maskmem == 0:
            return output
        encoded = self.encode_memory(
            features, output.high_res_masks, output.object_score_logits, is_mask_from_points=point_inputs is not None
        )
        return output.with_memory(encoded)

    @staticmethod
    def apply_non_overlapping_constraints(masks: Tensor) -> Tensor:
        """Give each pixel to the object with the highest logit; others fall to -10 or below there.

        Parameters
        ----------
        masks : Tensor (B, 1, H, W)
            Logits of objects of one frame.
        """
        if masks.shape[0] == 1:
            return masks
        owner = masks.argmax(dim=0, keepdim=True)
        mine = owner == torch.arange(masks.shape[0], device=masks.device).view(-1, 1, 1, 1)
        return torch.where(mine, masks, masks.clamp(max=-10.0))

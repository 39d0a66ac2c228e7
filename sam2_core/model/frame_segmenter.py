"""The part of SAM 2 that segments one frame: image encoder, prompts, mask decoder, object pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.init import trunc_normal_

from sam2_core.errors import ConfigError
from sam2_core.model.image_encoder import ImageEncoder, check_input_size
from sam2_core.model.layers import MLP
from sam2_core.model.mask_decoder import MaskDecoder
from sam2_core.model.prompt_encoder import PromptEncoder
from sam2_core.model.results import FrameOutput, ImageFeatures, PointPrompts
from sam2_core.model.two_way_transformer import TwoWayTransformer

#: Logit of every pixel where the object score says that the object is not in the frame.
NO_OBJ_SCORE = -1024.0


class FrameSegmenter(nn.Module):
    """Encode frames and decode masks from their features and prompts.

    :class:`sam2_core.model.SAM2Base` adds the memory; its docstring explains the options.

    Raises
    ------
    ConfigError
        Options that contradict each other.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        image_size: int | Sequence[int],
        backbone_stride: int,
        *,
        directly_add_no_mem_embed: bool,
        use_high_res_features_in_sam: bool,
        multimask_output_in_sam: bool,
        multimask_min_pt_num: int,
        multimask_max_pt_num: int,
        multimask_output_for_tracking: bool,
        use_multimask_token_for_obj_ptr: bool,
        iou_prediction_use_sigmoid: bool,
        use_obj_ptrs_in_encoder: bool,
        pred_obj_scores: bool,
        pred_obj_scores_mlp: bool,
        fixed_no_obj_ptr: bool,
        soft_no_obj_ptr: bool,
        use_mlp_for_obj_ptr_proj: bool,
        sam_mask_decoder_extra_args: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.image_size = image_size if isinstance(image_size, int) else (int(image_size[0]), int(image_size[1]))
        self.backbone_stride = backbone_stride
        if any(side % 32 or side <= 0 for side in self.input_size):
            raise ConfigError(f"image_size must be a positive multiple of 32 (height and width), got {image_size}")
        if fixed_no_obj_ptr and not (pred_obj_scores and use_obj_ptrs_in_encoder):
            raise ConfigError("fixed_no_obj_ptr needs pred_obj_scores and use_obj_ptrs_in_encoder")
        self.image_encoder = image_encoder
        self.hidden_dim = image_encoder.neck.d_model
        self.directly_add_no_mem_embed = directly_add_no_mem_embed
        self.use_high_res_features_in_sam = use_high_res_features_in_sam
        self.num_feature_levels = 3 if use_high_res_features_in_sam else 1
        self.multimask_output_in_sam = multimask_output_in_sam
        self.multimask_min_pt_num = multimask_min_pt_num
        self.multimask_max_pt_num = multimask_max_pt_num
        self.multimask_output_for_tracking = multimask_output_for_tracking
        self.use_obj_ptrs_in_encoder = use_obj_ptrs_in_encoder
        self.pred_obj_scores = pred_obj_scores
        self.fixed_no_obj_ptr = fixed_no_obj_ptr
        self.soft_no_obj_ptr = soft_no_obj_ptr

        self.no_mem_embed = small_parameter(1, 1, self.hidden_dim)
        if use_obj_ptrs_in_encoder:
            # Brings a mask prompt to the mask grid and to the scale of logits, to make a pointer of it.
            self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        if pred_obj_scores and use_obj_ptrs_in_encoder:
            self.no_obj_ptr = small_parameter(1, self.hidden_dim)

        grid = (self.input_size[0] // backbone_stride, self.input_size[1] // backbone_stride)
        self.sam_prompt_encoder = PromptEncoder(self.hidden_dim, grid, self.input_size, mask_in_chans=16)
        self.sam_mask_decoder = MaskDecoder(
            transformer_dim=self.hidden_dim,
            transformer=TwoWayTransformer(depth=2, embedding_dim=self.hidden_dim, num_heads=8, mlp_dim=2048),
            num_multimask_outputs=3,
            use_high_res_features=use_high_res_features_in_sam,
            iou_prediction_use_sigmoid=iou_prediction_use_sigmoid,
            pred_obj_scores=pred_obj_scores,
            pred_obj_scores_mlp=pred_obj_scores_mlp,
            use_multimask_token_for_obj_ptr=use_multimask_token_for_obj_ptr,
            **dict(sam_mask_decoder_extra_args or {}),
        )
        width = self.hidden_dim
        self.obj_ptr_proj: nn.Module = nn.Identity()
        if use_obj_ptrs_in_encoder:
            self.obj_ptr_proj = MLP(width, width, width, 3) if use_mlp_for_obj_ptr_proj else nn.Linear(width, width)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.no_mem_embed.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights, in which everything is computed."""
        return self.no_mem_embed.dtype

    def forward(self, images: Tensor) -> ImageFeatures:
        """Encode images; see :meth:`forward_image`."""
        return self.forward_image(images)

    def forward_image(self, images: Tensor) -> ImageFeatures:
        """Encode images once for any number of prompts.

        Parameters
        ----------
        images : Tensor (B, 3, H, W)
            RGB, normalised with ImageNet's mean and deviation, at the model's input size.

        Returns
        -------
        ImageFeatures

        Raises
        ------
        InvalidInputError
            Sides that are no multiples of 32.
        """
        check_input_size(images)
        projections = None
        if self.use_high_res_features_in_sam:
            projections = {0: self.sam_mask_decoder.conv_s0, 1: self.sam_mask_decoder.conv_s1}
        features: ImageFeatures = self.image_encoder(images.to(self.dtype), projections)
        levels = self.num_feature_levels
        return ImageFeatures(features.maps[-levels:], features.positions[-levels:])

    def image_embedding(self, features: ImageFeatures) -> Tensor:
        """Return the features of frames that have no memory, ready for the mask decoder: (B, C, h, w)."""
        if self.directly_add_no_mem_embed:
            return features.maps[-1] + self.no_mem_embed.view(1, -1, 1, 1)
        return features.maps[-1]

    def use_multimask(self, is_init_cond_frame: bool, point_inputs: PointPrompts | None) -> bool:
        """Whether the decoder gives several candidates on a frame with these points."""
        count = 0 if point_inputs is None else len(point_inputs)
        return (
            self.multimask_output_in_sam
            and (is_init_cond_frame or self.multimask_output_for_tracking)
            and self.multimask_min_pt_num <= count <= self.multimask_max_pt_num
        )

    def forward_sam_heads(
        self,
        pixel_features: Tensor,
        point_inputs: PointPrompts | None = None,
        mask_inputs: Tensor | None = None,
        high_res_features: Sequence[Tensor] | None = None,
        multimask_output: bool = False,
    ) -> FrameOutput:
        """Decode masks and object pointers from features and prompts.

        Parameters
        ----------
        pixel_features : Tensor (B, C, h, w)
            Conditioned on memory.
        point_inputs : PointPrompts, optional
        mask_inputs : Tensor (B, 1, any, any), optional
            Resized to the mask grid where it differs.
        high_res_features : sequence of Tensor, optional
            Maps of stride 4 and 8.
        multimask_output : bool

        Returns
        -------
        FrameOutput
            Without memory.
        """
        batch, device = pixel_features.shape[0], pixel_features.device
        if point_inputs is None:
            point_inputs = PointPrompts(
                torch.zeros(batch, 1, 2, device=device), torch.full((batch, 1), -1, dtype=torch.int32, device=device)
            )
        grid = self.sam_prompt_encoder.mask_input_size
        if mask_inputs is not None and mask_inputs.shape[-2:] != grid:
            mask_inputs = F.interpolate(mask_inputs.float(), grid, mode="bilinear", align_corners=False, antialias=True)
        sparse, dense = self.sam_prompt_encoder((point_inputs.coords, point_inputs.labels), None, mask_inputs)
        decoded = self.sam_mask_decoder(
            pixel_features,
            self.sam_prompt_encoder.get_dense_pe(),
            sparse,
            dense,
            multimask_output=multimask_output,
            repeat_image=False,
            high_res_features=high_res_features,
        )
        low = decoded.masks.float()
        present = decoded.object_score_logits > 0
        if self.pred_obj_scores:
            low = torch.where(present[..., None, None], low, NO_OBJ_SCORE)
        high = F.interpolate(low, self.input_size, mode="bilinear", align_corners=False)
        best_low, best_high, token = low, high, decoded.tokens[:, 0]
        if multimask_output:
            best = decoded.predicted_ious.argmax(dim=-1)
            best_low = low.take_along_dim(best.view(-1, 1, 1, 1), dim=1)
            best_high = high.take_along_dim(best.view(-1, 1, 1, 1), dim=1)
            if decoded.tokens.shape[1] > 1:
                token = decoded.tokens.take_along_dim(best.view(-1, 1, 1), dim=1)[:, 0]
        score = decoded.object_score_logits
        pointer = self.object_pointer(token, score)
        return FrameOutput(
            low, high, decoded.predicted_ious, best_low, best_high, pointer, score, candidate_tokens=decoded.tokens
        )

    def object_pointer(self, tokens: Tensor, object_score_logits: Tensor) -> Tensor:
        """Make object pointers (B, C) of output tokens (B, C) of the decoder, given object scores (B, 1)."""
        pointer = self.obj_ptr_proj(tokens)
        if not (self.pred_obj_scores and self.use_obj_ptrs_in_encoder):
            return pointer
        present = object_score_logits.sigmoid() if self.soft_no_obj_ptr else object_score_logits > 0
        return self._mark_absent(pointer, present.to(pointer.dtype))

    def _mark_absent(self, pointer: Tensor, presence: Tensor) -> Tensor:
        """Replace pointers (B, C), or add to them, in so far as ``presence`` (B, 1) is below 1."""
        if self.fixed_no_obj_ptr:
            pointer = presence * pointer
        return pointer + (1 - presence) * self.no_obj_ptr

    def use_mask_as_output(
        self, pixel_features: Tensor, high_res_features: Sequence[Tensor] | None, mask_inputs: Tensor
    ) -> FrameOutput:
        """Take mask prompts (B, 1, H, W) in [0, 1] as the result; the decoder only makes their pointers."""
        mask = mask_inputs.float()
        high = mask * 20.0 - 10.0
        size = (high.shape[-2] // 4, high.shape[-1] // 4)
        low = F.interpolate(high, size, mode="bilinear", align_corners=False, antialias=True)
        if self.use_obj_ptrs_in_encoder:
            prompt = self.mask_downsample(mask.to(self.dtype))
            pointer = self.forward_sam_heads(pixel_features, None, prompt, high_res_features).object_pointer
        else:
            pointer = pixel_features.new_zeros(mask.shape[0], self.hidden_dim)
        # The mask itself says whether the object is there.
        present = (mask > 0).flatten(1).any(dim=1, keepdim=True).to(pointer.dtype)
        if self.pred_obj_scores and self.use_obj_ptrs_in_encoder:
            pointer = self._mark_absent(pointer, present)
        ious = torch.ones(mask.shape[0], 1, device=mask.device)
        return FrameOutput(low, high, ious, low, high, pointer, 20.0 * present - 10.0)


def small_parameter(*shape: int) -> nn.Parameter:
    """Return a parameter drawn from a narrow truncated normal distribution."""
    return nn.Parameter(trunc_normal_(torch.zeros(*shape), std=0.02))

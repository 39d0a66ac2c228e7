"""Networks small enough to run in milliseconds, with every branch carrying a signal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sam2_core.model import (
    CXBlock,
    FpnNeck,
    Fuser,
    Hiera,
    ImageEncoder,
    MaskDownSampler,
    MemoryAttention,
    MemoryAttentionLayer,
    MemoryEncoder,
    PositionEmbeddingSine,
    RoPEAttention,
    SAM2Base,
)
from tests.parity.alive_weights import alive_state_dict

WIDTH = 64
MEMORY_WIDTH = 16

# What the SAM 2.1 configurations choose.
OPTIONS_2_1: dict[str, Any] = {
    "sigmoid_scale_for_mem_enc": 20.0,
    "sigmoid_bias_for_mem_enc": -10.0,
    "use_mask_input_as_output_without_sam": True,
    "directly_add_no_mem_embed": True,
    "no_obj_embed_spatial": True,
    "use_high_res_features_in_sam": True,
    "multimask_output_in_sam": True,
    "iou_prediction_use_sigmoid": True,
    "use_obj_ptrs_in_encoder": True,
    "add_tpos_enc_to_obj_ptrs": True,
    "proj_tpos_enc_in_obj_ptrs": True,
    "use_signed_tpos_enc_to_obj_ptrs": True,
    "only_obj_ptrs_in_the_past_for_eval": True,
    "pred_obj_scores": True,
    "pred_obj_scores_mlp": True,
    "fixed_no_obj_ptr": True,
    "multimask_output_for_tracking": True,
    "use_multimask_token_for_obj_ptr": True,
    "multimask_min_pt_num": 0,
    "multimask_max_pt_num": 1,
    "use_mlp_for_obj_ptr_proj": True,
}


def alive(module: nn.Module, seed: int = 0) -> Any:
    """The module in evaluation mode, its weights drawn so that nothing vanishes."""
    module.load_state_dict(alive_state_dict(module.state_dict(), seed))
    return module.eval()


def small_hiera(**options: Any) -> Hiera:
    """A trunk with four stages, a global block, and windows that do not divide most grids."""
    settings: dict[str, Any] = {
        "embed_dim": 16,
        "num_heads": 1,
        "stages": (1, 2, 3, 1),
        "global_att_blocks": (4,),
        "window_pos_embed_bkg_spatial_size": (7, 7),
    }
    return Hiera(**(settings | options))


def small_encoder(trunk: Hiera | None = None, **neck: Any) -> ImageEncoder:
    """Trunk and neck."""
    trunk = small_hiera() if trunk is None else trunk
    settings: dict[str, Any] = {"fpn_top_down_levels": [2, 3], "fpn_interp_model": "nearest"}
    return ImageEncoder(
        trunk,
        FpnNeck(PositionEmbeddingSine(WIDTH), WIDTH, trunk.channel_list, **(settings | neck)),
        scalp=1,
    )


def small_memory_attention(memory_width: int = MEMORY_WIDTH, dropout: float = 0.0) -> MemoryAttention:
    """Two layers of rotary attention."""
    layer = MemoryAttentionLayer(
        activation="relu",
        cross_attention=RoPEAttention(WIDTH, 1, 1, dropout, memory_width, rope_k_repeat=True, feat_sizes=(8, 8)),
        d_model=WIDTH,
        dim_feedforward=96,
        dropout=dropout,
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        self_attention=RoPEAttention(WIDTH, 1, 1, dropout, feat_sizes=(8, 8)),
    )
    return MemoryAttention(WIDTH, True, layer, 2)


def small_memory_encoder(memory_width: int = MEMORY_WIDTH) -> MemoryEncoder:
    """A memory encoder with one fusing block."""
    return MemoryEncoder(
        memory_width,
        MaskDownSampler(WIDTH, kernel_size=3, stride=2, padding=1),
        Fuser(CXBlock(WIDTH), 1),
        PositionEmbeddingSine(memory_width),
        in_dim=WIDTH,
    )


def small_model(
    image_size: int | tuple[int, int] = 128, seed: int = 0, memory_width: int = MEMORY_WIDTH, **options: Any
) -> SAM2Base:
    """A whole network with SAM 2.1's options, alive and in evaluation mode.

    Parameters
    ----------
    image_size : int or (int, int)
        Side, or height and width.
    seed : int
        Which weights.
    memory_width : int
        Channels of a memory.
    **options
        Options of `SAM2Base` that differ.
    """
    model = SAM2Base(
        small_encoder(),
        small_memory_attention(memory_width),
        small_memory_encoder(memory_width),
        image_size=image_size,
        **(OPTIONS_2_1 | options),
    )
    return alive(model, seed)  # type: ignore[no-any-return]


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

"""A configuration of SAM2Train that runs in a second, and batches for it; also read by the oracle process."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SIZE = 128
WIDTH, MEMORY_WIDTH = 64, 16


def small_config(**options: Any) -> dict[str, Any]:
    """A training configuration's ``model`` entry, with official names.

    Parameters
    ----------
    **options
        Entries of the model that differ.
    """
    modeling = "sam2.modeling"

    def positions(width: int) -> dict[str, Any]:
        return {
            "_target_": f"{modeling}.position_encoding.PositionEmbeddingSine",
            "num_pos_feats": width,
            "normalize": True,
            "scale": None,
            "temperature": 10000,
        }

    def attention(**extra: Any) -> dict[str, Any]:
        return {
            "_target_": f"{modeling}.sam.transformer.RoPEAttention",
            "rope_theta": 10000.0,
            "feat_sizes": [SIZE // 16, SIZE // 16],
            "embedding_dim": WIDTH,
            "num_heads": 1,
            "downsample_rate": 1,
            "dropout": 0.0,
            **extra,
        }

    return {
        "_target_": "training.model.sam2.SAM2Train",
        "image_encoder": {
            "_target_": f"{modeling}.backbones.image_encoder.ImageEncoder",
            "scalp": 1,
            "trunk": {
                "_target_": f"{modeling}.backbones.hieradet.Hiera",
                "embed_dim": 16,
                "num_heads": 1,
                "stages": [1, 2, 3, 1],
                "global_att_blocks": [4],
                "window_pos_embed_bkg_spatial_size": [7, 7],
            },
            "neck": {
                "_target_": f"{modeling}.backbones.image_encoder.FpnNeck",
                "position_encoding": positions(WIDTH),
                "d_model": WIDTH,
                "backbone_channel_list": [128, 64, 32, 16],
                "fpn_top_down_levels": [2, 3],
                "fpn_interp_model": "nearest",
            },
        },
        "memory_attention": {
            "_target_": f"{modeling}.memory_attention.MemoryAttention",
            "d_model": WIDTH,
            "pos_enc_at_input": True,
            "layer": {
                "_target_": f"{modeling}.memory_attention.MemoryAttentionLayer",
                "activation": "relu",
                "dim_feedforward": 96,
                "dropout": 0.0,
                "pos_enc_at_attn": False,
                "self_attention": attention(),
                "d_model": WIDTH,
                "pos_enc_at_cross_attn_keys": True,
                "pos_enc_at_cross_attn_queries": False,
                "cross_attention": attention(rope_k_repeat=True, kv_in_dim=MEMORY_WIDTH),
            },
            "num_layers": 2,
        },
        "memory_encoder": {
            "_target_": f"{modeling}.memory_encoder.MemoryEncoder",
            "out_dim": MEMORY_WIDTH,
            "in_dim": WIDTH,
            "position_encoding": positions(MEMORY_WIDTH),
            "mask_downsampler": {
                "_target_": f"{modeling}.memory_encoder.MaskDownSampler",
                "kernel_size": 3,
                "stride": 2,
                "padding": 1,
                "embed_dim": WIDTH,
            },
            "fuser": {
                "_target_": f"{modeling}.memory_encoder.Fuser",
                "layer": {
                    "_target_": f"{modeling}.memory_encoder.CXBlock",
                    "dim": WIDTH,
                    "kernel_size": 7,
                    "padding": 3,
                    "layer_scale_init_value": 1e-6,
                    "use_dwconv": True,
                },
                "num_layers": 1,
            },
        },
        "num_maskmem": 7,
        "image_size": SIZE,
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
        **options,
    }


#: The loss of the official fine-tuning configuration.
LOSS: dict[str, Any] = {
    "weight_dict": {"loss_mask": 20, "loss_dice": 1, "loss_iou": 1, "loss_class": 1},
    "supervise_all_iou": True,
    "iou_use_l1_loss": True,
    "pred_obj_scores": True,
}


def moving_discs(frames: int, videos: int = 1, objects: int = 2, size: int = SIZE) -> dict[str, Tensor]:
    """Discs that wander over noise, the fields of a batch: the last object leaves in the last frame."""
    random = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = torch.zeros(frames, videos * objects, size, size, dtype=torch.bool)
    images = 0.2 * torch.randn(frames, videos, 3, size, size, generator=random)
    for index in range(videos * objects):
        centre = size * (0.25 + 0.5 * torch.rand(2, generator=random))
        speed = size * 0.05 * torch.randn(2, generator=random)
        radius = size * (0.08 + 0.1 * torch.rand(1, generator=random))
        for t in range(frames):
            at = centre + t * speed
            masks[t, index] = (y - at[0]) ** 2 + (x - at[1]) ** 2 < radius**2
    if frames > 1:
        masks[-1, -1] = False
    for index in range(videos * objects):
        images[:, index // objects] += 1.5 * masks[:, index, None]
    places = torch.tensor(
        [[[t, index // objects] for index in range(videos * objects)] for t in range(frames)], dtype=torch.int32
    )
    return {"img_batch": images, "obj_to_frame_idx": places, "masks": masks}

"""What Hugging Face transformers wants beside weights, from one of our configurations: of network and inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from sam2_core.checkpoints.config import configured_size, model_section
from sam2_core.errors import ConfigError

CONFIG_NAME = "config.json"
PROCESSOR_NAME = "processor_config.json"
_DEFAULT_WINDOWS = (8, 4, 14, 7)
_DEFAULT_GLOBAL_BLOCKS = (12, 16, 20)
_DEFAULT_STAGES = (2, 3, 16, 3)
_DEFAULT_GRID = (14, 14)


def hugging_face_config(config: DictConfig, state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write a configuration as ``Sam2VideoConfig`` has it; ``Sam2Model`` reads it too.

    Parameters
    ----------
    config : DictConfig
        Complete, as :func:`~sam2_core.checkpoints.build.model_config` returns it.
    state_dict : mapping of str to Tensor
        Official keys; says what the configuration leaves to the network: its dtype, and widths of hidden layers.

    Returns
    -------
    dict of str to Any
        What goes into ``config.json``.
    """
    model = model_section(config)
    trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
    attention, downsampler = model.memory_attention, model.memory_encoder.mask_downsampler
    fuser = model.memory_encoder.fuser
    height, width = _size(config)
    stages = list(trunk.get("stages", _DEFAULT_STAGES))
    dims = [trunk.get("embed_dim", 96) * 2**stage for stage in range(len(stages))]
    heads = [trunk.get("num_heads", 1) * 2**stage for stage in range(len(stages))]
    side = height if height == width else [height, width]
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "image_size": [height, width],
            "hidden_size": dims[0],
            "num_attention_heads": heads[0],
            "blocks_per_stage": stages,
            "embed_dim_per_stage": dims,
            "num_attention_heads_per_stage": heads,
            "window_size_per_stage": list(trunk.get("window_spec", _DEFAULT_WINDOWS)),
            "global_attention_blocks": list(trunk.get("global_att_blocks", _DEFAULT_GLOBAL_BLOCKS)),
            "window_positional_embedding_background_size": list(
                trunk.get("window_pos_embed_bkg_spatial_size", _DEFAULT_GRID)
            ),
        },
        "backbone_channel_list": list(neck.backbone_channel_list),
        "backbone_feature_sizes": [[height // stride, width // stride] for stride in (4, 8, 16)],
        "fpn_hidden_size": neck.d_model,
        "fpn_top_down_levels": list(neck.fpn_top_down_levels),
    }
    return {
        "architectures": ["Sam2VideoModel"],
        "model_type": "sam2_video",
        "dtype": str(state_dict["no_mem_embed"].dtype).removeprefix("torch."),
        "image_size": side,
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": neck.d_model, "image_size": side},
        "mask_decoder_config": {
            "hidden_size": neck.d_model,
            "mlp_dim": len(state_dict["sam_mask_decoder.transformer.layers.0.mlp.layers.0.bias"]),
            "iou_head_hidden_dim": len(state_dict["sam_mask_decoder.iou_prediction_head.layers.0.bias"]),
        },
        "num_maskmem": model.get("num_maskmem", 7),
        "sigmoid_scale_for_mem_enc": model.get("sigmoid_scale_for_mem_enc", 1.0),
        "sigmoid_bias_for_mem_enc": model.get("sigmoid_bias_for_mem_enc", 0.0),
        "enable_occlusion_spatial_embedding": bool(model.get("no_obj_embed_spatial", False)),
        "enable_temporal_pos_encoding_for_object_pointers": bool(model.get("proj_tpos_enc_in_obj_ptrs", False)),
        "multimask_output_in_sam": model.get("multimask_output_in_sam", False),
        "multimask_min_pt_num": model.get("multimask_min_pt_num", 1),
        "multimask_max_pt_num": model.get("multimask_max_pt_num", 1),
        "multimask_output_for_tracking": model.get("multimask_output_for_tracking", False),
        "max_object_pointers_in_encoder": model.get("max_obj_ptrs_in_encoder", 16),
        "memory_attention_hidden_size": attention.d_model,
        "memory_attention_num_layers": attention.num_layers,
        "memory_attention_feed_forward_hidden_size": attention.layer.dim_feedforward,
        "memory_attention_dropout": attention.layer.dropout,
        "memory_attention_rope_feat_sizes": [height // 16, width // 16],
        "memory_attention_rope_dropout": attention.layer.self_attention.dropout,
        "rope_parameters": {"rope_type": "axial", "rope_theta": attention.layer.self_attention.rope_theta},
        "memory_encoder_hidden_size": model.memory_encoder.get("in_dim", neck.d_model),
        "memory_encoder_output_channels": model.memory_encoder.out_dim,
        "mask_downsampler_embed_dim": downsampler.get("embed_dim", neck.d_model),
        "memory_fuser_num_layers": fuser.num_layers,
        "memory_fuser_embed_dim": fuser.layer.dim,
        "memory_fuser_intermediate_dim": len(state_dict["memory_encoder.fuser.layers.0.pwconv1.bias"]),
    }


def hugging_face_processor(config: DictConfig) -> dict[str, Any]:
    """Write what ``Sam2VideoProcessor`` and ``Sam2Processor`` read: the sizes that pictures, clicks and masks get.

    How pictures are normalised is not said: the defaults there are SAM 2's.

    Parameters
    ----------
    config : DictConfig
        As for :func:`hugging_face_config`.

    Returns
    -------
    dict of str to Any
        What goes into ``processor_config.json``.
    """
    height, width = _size(config)
    shown = {"height": height, "width": width}
    masks = {"height": height // 4, "width": width // 4}
    return {
        "processor_class": "Sam2VideoProcessor",
        "image_processor": {"image_processor_type": "Sam2ImageProcessor", "size": shown, "mask_size": masks},
        "video_processor": {"video_processor_type": "Sam2VideoVideoProcessor", "size": shown},
        # one number there: clicks on inputs that are not square cannot be scaled
        "target_size": height,
    }


def _size(config: DictConfig) -> tuple[int, int]:
    size = configured_size(config)
    if size is None:
        raise ConfigError("the model's configuration has no image_size; set model.image_size")
    return size


def image_size_beside(weights: Path) -> str | None:
    """The side of the input, in pixels, that the ``config.json`` beside a weights file names; None where none does."""
    try:
        written = json.loads((weights.parent / CONFIG_NAME).read_text(encoding="utf-8"))
        size = written["vision_config"]["backbone_config"]["image_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
    return str(height) if isinstance(height, int) and height == width else None

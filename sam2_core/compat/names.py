"""The official module names, and where each name in them lives here.

Only strings: nothing is imported until a name is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_COMPAT = "sam2_core.compat"
_INFERENCE = "sam2_core.inference"
_MODEL = "sam2_core.model"
_TRAINING = "sam2_core.training"


def _all_from(home: str, *names: str) -> dict[str, str]:
    """Map names to ``home:name``."""
    return {name: f"{home}:{name}" for name in names}


_MODULES: dict[str, dict[str, str]] = {
    "sam2": {},
    "sam2.build_sam": _all_from(
        f"{_COMPAT}.builders",
        "HF_MODEL_ID_TO_FILENAMES",
        "_hf_download",
        "_load_checkpoint",
        "build_sam2",
        "build_sam2_hf",
        "build_sam2_video_predictor",
        "build_sam2_video_predictor_hf",
    ),
    "sam2.sam2_image_predictor": _all_from(f"{_COMPAT}.predictors", "SAM2ImagePredictor"),
    "sam2.sam2_video_predictor": _all_from(f"{_COMPAT}.predictors", "SAM2VideoPredictor", "SAM2VideoPredictorVOS"),
    "sam2.sam2_video_predictor_legacy": {"SAM2VideoPredictor": f"{_COMPAT}.predictors:SAM2VideoPredictorLegacy"},
    "sam2.automatic_mask_generator": _all_from(f"{_COMPAT}.predictors", "SAM2AutomaticMaskGenerator"),
    "sam2.benchmark": _all_from(f"{_COMPAT}.benchmark", "main", "measure_video"),
    "sam2.modeling": {},
    "sam2.modeling.backbones": {},
    "sam2.modeling.backbones.hieradet": {
        **_all_from(f"{_COMPAT}.trunk", "MultiScaleAttention", "MultiScaleBlock", "do_pool"),
        **_all_from(f"{_MODEL}.hiera", "Hiera"),
    },
    "sam2.modeling.backbones.image_encoder": {
        **_all_from(f"{_COMPAT}.network", "ImageEncoder"),
        **_all_from(f"{_MODEL}.image_encoder", "FpnNeck"),
    },
    "sam2.modeling.backbones.utils": {
        **_all_from(f"{_COMPAT}.trunk", "window_partition", "window_unpartition"),
        **_all_from(f"{_MODEL}.hiera", "PatchEmbed"),
    },
    "sam2.modeling.memory_attention": {
        **_all_from(f"{_COMPAT}.network", "MemoryAttention"),
        **_all_from(f"{_MODEL}.memory_attention", "MemoryAttentionLayer"),
    },
    "sam2.modeling.memory_encoder": {
        **_all_from(f"{_COMPAT}.network", "MemoryEncoder"),
        **_all_from(f"{_MODEL}.memory_encoder", "CXBlock", "Fuser", "MaskDownSampler"),
    },
    "sam2.modeling.position_encoding": {
        **_all_from(f"{_MODEL}.position_encoding", "PositionEmbeddingRandom", "PositionEmbeddingSine"),
        **_all_from(f"{_COMPAT}.rotary", "apply_rotary_enc", "compute_axial_cis", "init_t_xy", "reshape_for_broadcast"),
    },
    "sam2.modeling.sam": {},
    "sam2.modeling.sam.mask_decoder": _all_from(f"{_COMPAT}.network", "MaskDecoder"),
    "sam2.modeling.sam.prompt_encoder": _all_from(f"{_MODEL}.prompt_encoder", "PromptEncoder"),
    "sam2.modeling.sam.transformer": {
        **_all_from(f"{_MODEL}.attention", "Attention", "RoPEAttention"),
        **_all_from(f"{_MODEL}.two_way_transformer", "TwoWayAttentionBlock", "TwoWayTransformer"),
    },
    "sam2.modeling.sam2_base": {
        **_all_from(f"{_COMPAT}.network", "SAM2Base"),
        **_all_from(f"{_MODEL}.frame_segmenter", "NO_OBJ_SCORE"),
    },
    "sam2.modeling.sam2_utils": {
        **_all_from(f"{_MODEL}.layers", "MLP", "DropPath", "LayerNorm2d", "get_activation_fn", "get_clones"),
        **_all_from(f"{_MODEL}.memory_selection", "select_closest_cond_frames"),
        **_all_from(f"{_MODEL}.position_encoding", "get_1d_sine_pe"),
        **_all_from(
            f"{_TRAINING}.prompt_sampling",
            "get_next_point",
            "sample_box_points",
            "sample_one_point_from_error_center",
            "sample_random_points_from_errors",
        ),
    },
    "sam2.utils": {},
    "sam2.utils.amg": {
        **_all_from(f"{_INFERENCE}.mask_data", "MaskData"),
        **_all_from(
            f"{_INFERENCE}.crops",
            "batched_mask_to_box",
            "box_xyxy_to_xywh",
            "generate_crop_boxes",
            "is_box_near_crop_edge",
            "uncrop_boxes_xyxy",
            "uncrop_masks",
            "uncrop_points",
        ),
        **_all_from(f"{_INFERENCE}.point_grids", "batch_iterator", "build_all_layer_point_grids", "build_point_grid"),
        **_all_from(
            f"{_INFERENCE}.run_length", "area_from_rle", "coco_encode_rle", "mask_to_rle_pytorch", "rle_to_mask"
        ),
        **_all_from(f"{_INFERENCE}.stability", "calculate_stability_score"),
        **_all_from("sam2_core.kernels.mask_cleaning", "remove_small_regions"),
    },
    "sam2.utils.misc": {
        **_all_from(f"{_COMPAT}.masks", "concat_points", "get_connected_components", "get_sdpa_settings"),
        **_all_from(f"{_TRAINING}.prompt_sampling", "mask_to_box"),
        **_all_from(
            f"{_COMPAT}.video_frames",
            "AsyncVideoFrameLoader",
            "_load_img_as_tensor",
            "load_video_frames",
            "load_video_frames_from_jpg_images",
            "load_video_frames_from_video_file",
        ),
        **_all_from("sam2_core.kernels.mask_cleaning", "fill_holes_in_mask_scores"),
    },
    "sam2.utils.transforms": _all_from(f"{_COMPAT}.transforms", "SAM2Transforms"),
}

# What official modules import from each other, and programs then import from there.
_ALSO: dict[str, dict[str, tuple[str, ...]]] = {
    "sam2.sam2_image_predictor": {
        "sam2.modeling.sam2_base": ("SAM2Base",),
        "sam2.utils.transforms": ("SAM2Transforms",),
    },
    "sam2.sam2_video_predictor": {
        "sam2.modeling.sam2_base": ("NO_OBJ_SCORE", "SAM2Base"),
        "sam2.utils.misc": ("concat_points", "fill_holes_in_mask_scores", "load_video_frames"),
    },
    "sam2.automatic_mask_generator": {
        "sam2.modeling.sam2_base": ("SAM2Base",),
        "sam2.sam2_image_predictor": ("SAM2ImagePredictor",),
        "sam2.utils.amg": tuple(name for name in _MODULES["sam2.utils.amg"] if name != "build_point_grid"),
    },
    "sam2.modeling.backbones.hieradet": {
        "sam2.modeling.backbones.utils": ("PatchEmbed", "window_partition", "window_unpartition"),
        "sam2.modeling.sam2_utils": ("DropPath", "MLP"),
    },
    "sam2.modeling.memory_attention": {
        "sam2.modeling.sam.transformer": ("RoPEAttention",),
        "sam2.modeling.sam2_utils": ("get_activation_fn", "get_clones"),
    },
    "sam2.modeling.memory_encoder": {"sam2.modeling.sam2_utils": ("DropPath", "LayerNorm2d", "get_clones")},
    "sam2.modeling.sam.mask_decoder": {"sam2.modeling.sam2_utils": ("LayerNorm2d", "MLP")},
    "sam2.modeling.sam.prompt_encoder": {
        "sam2.modeling.position_encoding": ("PositionEmbeddingRandom",),
        "sam2.modeling.sam2_utils": ("LayerNorm2d",),
    },
    "sam2.modeling.sam.transformer": {
        "sam2.modeling.position_encoding": ("apply_rotary_enc", "compute_axial_cis"),
        "sam2.modeling.sam2_utils": ("MLP",),
    },
    "sam2.modeling.sam2_base": {
        "sam2.modeling.sam.mask_decoder": ("MaskDecoder",),
        "sam2.modeling.sam.prompt_encoder": ("PromptEncoder",),
        "sam2.modeling.sam.transformer": ("TwoWayTransformer",),
        "sam2.modeling.sam2_utils": ("MLP", "get_1d_sine_pe", "select_closest_cond_frames"),
    },
    "sam2.modeling.sam2_utils": {"sam2.utils.misc": ("mask_to_box",)},
}
_ALSO["sam2.sam2_video_predictor_legacy"] = _ALSO["sam2.sam2_video_predictor"]
for _module, _sources in _ALSO.items():
    for _source, _names in _sources.items():
        _MODULES[_module] |= {_name: _MODULES[_source][_name] for _name in _names}

OFFICIAL_MODULES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {module: MappingProxyType(names) for module, names in _MODULES.items()}
)
"""Official module -> name in it -> ``module:attribute`` of ours. The modules that are packages hold no names."""

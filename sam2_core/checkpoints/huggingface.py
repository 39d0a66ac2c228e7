"""State-dict keys of Hugging Face transformers' ``Sam2VideoModel`` / ``Sam2Model``, to and from the official ones.

Most keys differ in names only and are renamed by a table read in either direction. Four things differ in shape or
count: the heads' layers are named first, middle, last there; the mask downsampler is a flat sequence here and stages
there; the four point embeddings are one table there; and the random projection of positions is stored twice there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sam2_core.checkpoints.numbered_keys import numbers_after
from sam2_core.errors import CheckpointError

HUGGING_FACE_MARKER = "vision_encoder.backbone.patch_embed.projection.weight"
"""A key that every state dict in the Hugging Face layout has."""

_TRUNK, _BACKBONE = "image_encoder.trunk", "vision_encoder.backbone"
_HEADS = (
    ("sam_mask_decoder.output_hypernetworks_mlps.{n}", "mask_decoder.output_hypernetworks_mlps.{n}"),
    ("sam_mask_decoder.iou_prediction_head", "mask_decoder.iou_prediction_head"),
    ("sam_mask_decoder.pred_obj_score_head", "mask_decoder.pred_obj_score_head"),
    ("obj_ptr_proj", "object_pointer_proj"),
)
_DOWNSAMPLER, _STAGES = "memory_encoder.mask_downsampler.encoder", "memory_encoder.mask_downsampler"
_POINTS, _POINT_TABLE = "sam_prompt_encoder.point_embeddings", "prompt_encoder.point_embed.weight"
_PROJECTION = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_PROJECTION_COPIES = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)

# official, Hugging Face; {n} is a number, {name} one part of a key, {rest} what is left. The first match wins.
_NAMES = (
    (f"{_TRUNK}.patch_embed.proj.{{rest}}", f"{_BACKBONE}.patch_embed.projection.{{rest}}"),
    (f"{_TRUNK}.blocks.{{n}}.norm1.{{rest}}", f"{_BACKBONE}.blocks.{{n}}.layer_norm1.{{rest}}"),
    (f"{_TRUNK}.blocks.{{n}}.norm2.{{rest}}", f"{_BACKBONE}.blocks.{{n}}.layer_norm2.{{rest}}"),
    (f"{_TRUNK}.blocks.{{n}}.mlp.layers.0.{{rest}}", f"{_BACKBONE}.blocks.{{n}}.mlp.proj_in.{{rest}}"),
    (f"{_TRUNK}.blocks.{{n}}.mlp.layers.1.{{rest}}", f"{_BACKBONE}.blocks.{{n}}.mlp.proj_out.{{rest}}"),
    (f"{_TRUNK}.{{rest}}", f"{_BACKBONE}.{{rest}}"),
    ("image_encoder.neck.convs.{n}.conv.{rest}", "vision_encoder.neck.convs.{n}.{rest}"),
    ("sam_prompt_encoder.mask_downscaling.0.{rest}", "prompt_encoder.mask_embed.conv1.{rest}"),
    ("sam_prompt_encoder.mask_downscaling.1.{rest}", "prompt_encoder.mask_embed.layer_norm1.{rest}"),
    ("sam_prompt_encoder.mask_downscaling.3.{rest}", "prompt_encoder.mask_embed.conv2.{rest}"),
    ("sam_prompt_encoder.mask_downscaling.4.{rest}", "prompt_encoder.mask_embed.layer_norm2.{rest}"),
    ("sam_prompt_encoder.mask_downscaling.6.{rest}", "prompt_encoder.mask_embed.conv3.{rest}"),
    ("sam_prompt_encoder.{rest}", "prompt_encoder.{rest}"),
    ("sam_mask_decoder.output_upscaling.0.{rest}", "mask_decoder.upscale_conv1.{rest}"),
    ("sam_mask_decoder.output_upscaling.1.{rest}", "mask_decoder.upscale_layer_norm.{rest}"),
    ("sam_mask_decoder.output_upscaling.3.{rest}", "mask_decoder.upscale_conv2.{rest}"),
    (
        "sam_mask_decoder.transformer.layers.{n}.mlp.layers.0.{rest}",
        "mask_decoder.transformer.layers.{n}.mlp.proj_in.{rest}",
    ),
    (
        "sam_mask_decoder.transformer.layers.{n}.mlp.layers.1.{rest}",
        "mask_decoder.transformer.layers.{n}.mlp.proj_out.{rest}",
    ),
    (
        "sam_mask_decoder.transformer.layers.{n}.{name}.out_proj.{rest}",
        "mask_decoder.transformer.layers.{n}.{name}.o_proj.{rest}",
    ),
    (
        "sam_mask_decoder.transformer.layers.{n}.norm{n2}.{rest}",
        "mask_decoder.transformer.layers.{n}.layer_norm{n2}.{rest}",
    ),
    (
        "sam_mask_decoder.transformer.{name}.out_proj.{rest}",
        "mask_decoder.transformer.{name}.o_proj.{rest}",
    ),
    ("sam_mask_decoder.transformer.norm_final_attn.{rest}", "mask_decoder.transformer.layer_norm_final_attn.{rest}"),
    ("sam_mask_decoder.{rest}", "mask_decoder.{rest}"),
    ("memory_attention.layers.{n}.{name}.out_proj.{rest}", "memory_attention.layers.{n}.{name}.o_proj.{rest}"),
    ("memory_attention.layers.{n}.norm{n2}.{rest}", "memory_attention.layers.{n}.layer_norm{n2}.{rest}"),
    ("memory_attention.norm.{rest}", "memory_attention.layer_norm.{rest}"),
    ("memory_attention.{rest}", "memory_attention.{rest}"),
    ("memory_encoder.pix_feat_proj.{rest}", "memory_encoder.feature_projection.{rest}"),
    ("memory_encoder.out_proj.{rest}", "memory_encoder.projection.{rest}"),
    ("memory_encoder.fuser.layers.{n}.gamma", "memory_encoder.memory_fuser.layers.{n}.scale"),
    ("memory_encoder.fuser.layers.{n}.norm.{rest}", "memory_encoder.memory_fuser.layers.{n}.layer_norm.{rest}"),
    ("memory_encoder.fuser.layers.{n}.dwconv.{rest}", "memory_encoder.memory_fuser.layers.{n}.depthwise_conv.{rest}"),
    (
        "memory_encoder.fuser.layers.{n}.pwconv{n2}.{rest}",
        "memory_encoder.memory_fuser.layers.{n}.pointwise_conv{n2}.{rest}",
    ),
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ("no_mem_embed", "no_memory_embedding"),
    ("no_mem_pos_enc", "no_memory_positional_encoding"),
    ("no_obj_ptr", "no_object_pointer"),
    ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
    ("obj_ptr_tpos_proj.{rest}", "temporal_positional_encoding_projection_layer.{rest}"),
    ("mask_downsample.{rest}", "mask_downsample.{rest}"),
)
_PATTERNS = {"{n}": r"(?P<n>\d+)", "{n2}": r"(?P<n2>\d+)", "{name}": r"(?P<name>[^.]+)", "{rest}": r"(?P<rest>.+)"}


def is_hugging_face(state_dict: Mapping[str, object]) -> bool:
    """Whether keys are those of the Hugging Face layout."""
    return HUGGING_FACE_MARKER in state_dict


def to_hugging_face(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert a state dict to the layout of Hugging Face transformers.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Official keys.

    Returns
    -------
    dict of str to Tensor
        Keys of ``Sam2VideoModel``; values are shared with the input, but for the joined point embeddings.

    Raises
    ------
    CheckpointError
        When a key has no counterpart there.
    """
    rename = _renamer(_NAMES)
    last_layers = {
        head: max(numbers_after(state_dict, f"{head}.layers"), default=0) for head in _present_heads(state_dict)
    }
    last_stage = max(numbers_after(state_dict, _DOWNSAMPLER), default=0)
    converted: dict[str, Tensor] = {}
    points: dict[int, Tensor] = {}
    for key, value in state_dict.items():
        if key == _PROJECTION:
            converted |= dict.fromkeys(_PROJECTION_COPIES, value)
        elif key.startswith(f"{_POINTS}."):
            points[int(key.removeprefix(f"{_POINTS}.").split(".")[0])] = value
        elif key.startswith(f"{_DOWNSAMPLER}."):
            converted[_stage_key(key, last_stage)] = value
        elif (head := next((head for head in last_layers if key.startswith(f"{head}.layers.")), None)) is not None:
            converted[_head_to_hugging_face(key, head, last_layers[head])] = value
        else:
            converted[rename(key)] = value
    if points:
        converted[_POINT_TABLE] = torch.cat([points[index] for index in sorted(points)])
    return converted


def from_hugging_face(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert a state dict of Hugging Face transformers to the official layout.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Keys of ``Sam2VideoModel`` or ``Sam2Model``.

    Returns
    -------
    dict of str to Tensor
        Official keys; values are shared with the input.

    Raises
    ------
    CheckpointError
        When a key is unknown.
    """
    rename = _renamer([(theirs, ours) for ours, theirs in _NAMES])
    converted: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        if key in _PROJECTION_COPIES:
            converted[_PROJECTION] = value
        elif key == _POINT_TABLE:
            for index in range(value.shape[0]):
                converted[f"{_POINTS}.{index}.weight"] = value[index : index + 1]
        elif key.startswith(f"{_STAGES}."):
            converted[_flat_key(key, state_dict)] = value
        else:
            converted[_head_from_hugging_face(key, state_dict) or rename(key)] = value
    return converted


def _renamer(names: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> Callable[[str], str]:
    rules = []
    for source, destination in names:
        pattern = re.escape(source)
        for placeholder, expression in _PATTERNS.items():
            pattern = pattern.replace(re.escape(placeholder), expression)
        rules.append((re.compile(pattern), destination))

    def rename(key: str) -> str:
        for pattern, destination in rules:
            found = pattern.fullmatch(key)
            if found is not None:
                return destination.format(**found.groupdict())
        raise CheckpointError(f"{key!r} is not a weight of SAM 2 in this layout, so it cannot be converted")

    return rename


def _present_heads(state_dict: Mapping[str, Tensor]) -> set[str]:
    heads = set()
    for ours, _ in _HEADS:
        pattern = re.compile(re.escape(ours).replace(re.escape("{n}"), r"\d+") + r"(?=\.layers\.)")
        heads |= {found[0] for key in state_dict if (found := pattern.match(key)) is not None}
    return heads


def _head_to_hugging_face(key: str, head: str, last: int) -> str:
    number, rest = key.removeprefix(f"{head}.layers.").split(".", 1)
    theirs = head.replace("sam_mask_decoder.", "mask_decoder.").replace("obj_ptr_proj", "object_pointer_proj")
    layer = {0: "proj_in", last: "proj_out"}.get(int(number), f"layers.{int(number) - 1}")
    return f"{theirs}.{layer}.{rest}"


def _head_from_hugging_face(key: str, state_dict: Mapping[str, Tensor]) -> str | None:
    for ours, theirs in _HEADS:
        pattern = re.escape(theirs).replace(re.escape("{n}"), r"(?P<n>\d+)")
        found = re.fullmatch(
            rf"(?P<head>{pattern})\.(?:(?P<end>proj_in|proj_out)|layers\.(?P<k>\d+))\.(?P<rest>.+)", key
        )
        if found is None:
            continue
        parts = found.groupdict()
        if parts["end"] == "proj_in":
            number = 0
        elif parts["end"] == "proj_out":
            middle = re.compile(re.escape(parts["head"]) + r"\.layers\.\d+\.weight")
            number = 1 + sum(middle.fullmatch(other) is not None for other in state_dict)
        else:
            number = int(parts["k"]) + 1
        return f"{ours.format(n=parts.get('n'))}.layers.{number}.{parts['rest']}"
    return None


def _stage_key(key: str, last: int) -> str:
    """Three modules a stage here (convolution, norm, activation), and a last convolution."""
    number, rest = key.removeprefix(f"{_DOWNSAMPLER}.").split(".", 1)
    if int(number) == last:
        return f"{_STAGES}.final_conv.{rest}"
    stage, part = divmod(int(number), 3)
    return f"{_STAGES}.layers.{stage}.{('conv', 'layer_norm')[part]}.{rest}"


def _flat_key(key: str, state_dict: Mapping[str, Tensor]) -> str:
    found = re.fullmatch(rf"{re.escape(_STAGES)}\.layers\.(\d+)\.(conv|layer_norm)\.(.+)", key)
    if found is not None:
        return f"{_DOWNSAMPLER}.{3 * int(found[1]) + (found[2] == 'layer_norm')}.{found[3]}"
    found = re.fullmatch(rf"{re.escape(_STAGES)}\.final_conv\.(.+)", key)
    if found is None:
        raise CheckpointError(f"{key!r} is not a weight of SAM 2 in this layout, so it cannot be converted")
    stages = sum(other.startswith(f"{_STAGES}.layers.") and other.endswith(".conv.weight") for other in state_dict)
    return f"{_DOWNSAMPLER}.{3 * stages}.{found[1]}"

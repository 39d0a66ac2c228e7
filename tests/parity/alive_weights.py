"""Random weights under which every part of a SAM 2 network carries a signal.

Freshly initialised networks hide mistakes: layer scales of 1e-6, position embeddings of zero and attention that
averages over everything leave whole branches without effect on the result. Here each tensor is drawn from its name, its
shape and a seed alone, so two processes that never exchange a file hold the same network, whatever the order of their
state dicts.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor

# Standard deviation of embeddings, tokens and position tables: the size of normalised features, so that they matter.
EMBEDDING_NAMES = (
    "pos_embed",
    "pos_embed_window",
    "maskmem_tpos_enc",
    "no_mem_embed",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "point_embeddings",
    "not_a_point_embed",
    "no_mask_embed",
)
# Smaller than a prompt, so that the prompt decides.
OUTPUT_TOKENS = ("iou_token", "mask_tokens", "obj_score_token")
# Queries and keys are drawn larger, so that attention picks tokens instead of averaging over all of them.
ATTENTION_GAIN = 1.4
DECODER_ATTENTION_GAIN = 1.8
# Keys resemble queries, so that a prompt attends to where it is: x and y swapped, or half a pixel, show in the mask.
QUERY_KEY_OVERLAP = 0.8
# The trunk's residual stream grows with depth; the neck brings it back to about one.
NECK_GAIN = 0.25
# Mask logits of about +-10, as trained networks give: stable masks with pixels on both sides of zero.
HYPERNETWORK_GAIN = 4.0
# Objects are present in most frames.
OBJECT_SCORE_BIAS = 4.0


def alive_tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw the tensor of one state-dict key.

    Parameters
    ----------
    name : str
        State-dict key; with `seed` it fixes the values.
    shape : tuple of int
        Its shape.
    seed : int
        Which network to draw.

    Returns
    -------
    Tensor
        float32 of `shape`.
    """
    noise = _noise(name, shape, seed)
    if name.endswith(".k_proj.weight") and name.startswith("sam_mask_decoder.") and ".self_attn." not in name:
        query = _noise(name.replace(".k_proj.", ".q_proj."), shape, seed)
        noise = QUERY_KEY_OVERLAP * query + math.sqrt(1 - QUERY_KEY_OVERLAP**2) * noise
    parts = name.split(".")
    if "positional_encoding_gaussian_matrix" in name:
        return noise
    if parts[1:2] and parts[1] in OUTPUT_TOKENS:
        return 0.5 * noise
    if any(part in EMBEDDING_NAMES for part in parts):
        return noise
    if parts[-1] == "gamma":
        return 0.5 + 0.2 * noise
    if parts[-1] == "bias":
        if name in {"sam_mask_decoder.pred_obj_score_head.layers.2.bias", "sam_mask_decoder.pred_obj_score_head.bias"}:
            return OBJECT_SCORE_BIAS + 0.0 * noise
        return 0.1 * noise
    if len(shape) == 1:  # the weight of a normalisation
        return 1.0 + 0.2 * noise
    if "output_hypernetworks_mlps" in name and ".layers.2." in name:
        # A mask is a product with channels that are positive on average: without a mean of its own it has both signs.
        noise = noise - noise.mean(dim=0)
    if name.startswith("sam_mask_decoder.output_upscaling."):
        # Neighbouring pixels of an upscaled mask agree mostly: masks are regions, not noise.
        noise = 0.9 * noise[:, :, :1, :1] + math.sqrt(1 - 0.9**2) * noise
    return noise * _gain(name, shape)[:, None].reshape(-1, *([1] * (len(shape) - 1))) / math.sqrt(_fan_in(name, shape))


def alive_state_dict(like: Mapping[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Draw every tensor of a state dict; `like` gives the names and shapes."""
    return {name: alive_tensor(name, tuple(tensor.shape), seed) for name, tensor in like.items()}


def _noise(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal values that depend on nothing but the arguments."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) * 1000 + seed)
    return torch.randn(shape, generator=generator)


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    """How many inputs are summed for one output."""
    if name.startswith("sam_mask_decoder.output_upscaling") and len(shape) == 4:
        return shape[0]  # transposed convolution with kernel = stride: each output pixel sees one input pixel
    return math.prod(shape[1:])


def _gain(name: str, shape: tuple[int, ...]) -> Tensor:
    """Gain for each row of a weight, by what the layer feeds."""
    gain = torch.ones(shape[0])
    if ".attn.qkv." in name:
        gain[: 2 * shape[0] // 3] = ATTENTION_GAIN
    elif ".q_proj." in name or ".k_proj." in name:
        gain *= DECODER_ATTENTION_GAIN if name.startswith("sam_mask_decoder.") else ATTENTION_GAIN
    elif ".cross_attn_image_to_token.out_proj." in name:
        gain *= 0.5  # what the tokens say to every pixel alike must not drown the pixels' differences
    elif name.startswith("image_encoder.neck.convs."):
        gain *= NECK_GAIN
    elif "output_hypernetworks_mlps" in name and ".layers.2." in name:
        gain *= HYPERNETWORK_GAIN
    elif ".mlp.layers.1." in name or ".linear2." in name or ".pwconv2." in name or ".layers.1." in name:
        gain *= math.sqrt(2.0)  # after a rectifier half of the variance is gone
    return gain

"""How a SAM 2 that starts from nothing is initialised, so that it can find the place of a click.

With independent random projections for queries and keys, the likeness of a point's position code to that of its place
in the image is lost, and a small network learns to segment everything. Giving both the same orthogonal weight keeps it.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from sam2_core.model import Attention, SAM2Base


def tie_query_and_key(attention: Attention, gain: float = 1.5) -> None:
    """Give ``q_proj`` and ``k_proj`` of an attention the same orthogonal weight and no bias.

    Where keys have fewer channels than queries, the shared channels are those that lie in both.
    """
    query, key = attention.q_proj, attention.k_proj
    nn.init.orthogonal_(query.weight, gain=gain)
    with torch.no_grad():
        key.weight.copy_(query.weight[:, : key.in_features])
        for layer in (query, key):
            if layer.bias is not None:
                layer.bias.zero_()


def prefer_own_place(attention: Attention, strength: float = 3.0) -> None:
    """Let a rotary attention look at its own place first: a constant part of query and key, turned alike.

    Its share of the score is largest where the turns agree, which is at the same place, by ``strength``.
    """
    query, key = attention.q_proj, attention.k_proj
    width = query.out_features
    # The first half of the channels turns with x, the second with y; of each, the quick turns come first. The quickest
    # quarter alone tells neighbours apart.
    constant = torch.zeros(width)
    quarter = width // 8
    constant[:quarter] = constant[width // 2 : width // 2 + quarter] = 1.0
    constant *= math.sqrt(strength * math.sqrt(width) / float(constant.sum()))
    with torch.no_grad():
        query.bias.copy_(constant)
        key.bias.copy_(constant)


def initialise(model: SAM2Base, *, frequency: float = 2.0) -> None:
    """Prepare a new network in place.

    Parameters
    ----------
    model : SAM2Base
    frequency : float
        Standard deviation of the random frequencies of positions, which the matrix is scaled to.
    """
    for name, attention in model.named_modules():
        if not isinstance(attention, Attention):
            continue
        if name.startswith("memory_attention."):
            tie_query_and_key(attention, gain=1.0)
            prefer_own_place(attention)
        elif "token_to_image" in name or "image_to_token" in name:
            tie_query_and_key(attention)
    matrix = model.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    with torch.no_grad():
        matrix.mul_(frequency / matrix.std())

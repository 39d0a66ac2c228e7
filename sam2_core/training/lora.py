"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): train a small product beside each frozen weight.

Adapters are parametrisations of the weights themselves, not modules round the layers: the network reads weights
directly where it moves a projection from pixels to tokens, and would not see a wrapped layer's adapter there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sam2_core.errors import ConfigError
from sam2_core.training.optimiser import names_matching

#: Attention projections and MLPs of the image encoder, the memory attention and the mask decoder.
DEFAULT_TARGETS = ("*.qkv", "*.attn.proj", "*.q_proj", "*.k_proj", "*.v_proj", "*.out_proj")


class LowRank(nn.Module):
    """Adds ``scale * up @ down`` to a weight (out, in).

    Parameters
    ----------
    rows, columns : int
        Of the weight.
    rank : int
    scale : float
    """

    def __init__(self, rows: int, columns: int, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.empty(rank, columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with the product added."""
        return weight + self.scale * (self.up @ self.down).to(weight.dtype)


def add_adapters(
    model: nn.Module, rank: int = 8, alpha: float | None = None, targets: Sequence[str] = DEFAULT_TARGETS
) -> list[str]:
    """Freeze a model and give some of its linear layers adapters, in place.

    Parameters
    ----------
    model : nn.Module
    rank : int
    alpha : float, optional
        The product is scaled with alpha / rank; alpha is the rank by default.
    targets : sequence of str
        Patterns of names of linear layers.

    Returns
    -------
    list of str
        The layers that have one now.

    Raises
    ------
    ConfigError
        A rank below 1, or a pattern that matches no linear layer.
    """
    if rank < 1:
        raise ConfigError(f"the rank of adapters is at least 1; got {rank}")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    chosen = [name for name in layers if name in names_matching(targets, layers)]
    model.requires_grad_(False)
    scale = (rank if alpha is None else alpha) / rank
    for name in chosen:
        layer = layers[name]
        adapter = LowRank(layer.out_features, layer.in_features, min(rank, *layer.weight.shape), scale)
        parametrize.register_parametrization(layer, "weight", adapter.to(layer.weight.device))
    return chosen


def has_adapters(model: nn.Module) -> bool:
    """Whether any layer has an adapter."""
    return any(isinstance(module, LowRank) for module in model.modules())


def merged_state(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return a state dict of a model with adapters as one without: products added, official keys.

    Parameters
    ----------
    state : dict of str to Tensor
        With the keys that ``model`` has now.
    model : nn.Module
    """
    merged = dict(state)
    for name, module in model.named_modules():
        if not name.endswith(".parametrizations.weight"):
            continue
        layer = name.removesuffix(".parametrizations.weight")
        weight = merged.pop(f"{name}.original")
        for index, adapter in enumerate(module.children()):
            assert isinstance(adapter, LowRank)
            product = merged.pop(f"{name}.{index}.up") @ merged.pop(f"{name}.{index}.down")
            weight = weight + adapter.scale * product
        merged[f"{layer}.weight"] = weight
    return merged

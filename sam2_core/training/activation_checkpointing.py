"""Compute activations again in the backward pass instead of keeping them: less memory for about a third more time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sam2_core.model import MemoryAttentionLayer, MultiScaleBlock
from sam2_core.training.optimiser import names_matching


def checkpoint_activations(model: nn.Module, parts: Sequence[str] | None = None) -> list[str]:
    """Let some parts of a model keep only what goes into them, in place.

    Parameters
    ----------
    model : nn.Module
    parts : sequence of str, optional
        Patterns of names of modules; by default the blocks of the image encoder and the layers of the memory attention,
        which keep most.

    Returns
    -------
    list of str
        The modules.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if parts is None:
        chosen = [name for name, each in modules.items() if isinstance(each, MultiScaleBlock | MemoryAttentionLayer)]
    else:
        chosen = sorted(names_matching(parts, modules))
    for name in chosen:
        module = modules[name]
        # the memory attention runs its layers in two halves
        halves = ("look_around", "look_back") if isinstance(module, MemoryAttentionLayer) else ("forward",)
        for function in halves:
            # the function, not the module: state-dict keys stay as they are
            setattr(module, function, functools.partial(_recomputed, getattr(module, function)))
    return chosen


def _recomputed(forward: Any, *arguments: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*arguments, **options)
    return checkpoint(forward, *arguments, use_reentrant=False, **options)

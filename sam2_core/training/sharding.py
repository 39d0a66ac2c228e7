"""Share a network's weights, gradients and optimiser state out over processes (FSDP).

Zhao et al. 2023, PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel, arXiv:2304.11277.

The large repeated parts are sharded, and gathered while they run. The rest is whole in every process: which small parts
a step uses depends on its data, and processes that gather different parts would wait for each other for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from sam2_core.model import MultiScaleBlock
from sam2_core.model.memory_attention import MemoryAttention
from sam2_core.model.two_way_transformer import TwoWayTransformer

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

_PARTS = (MultiScaleBlock, MemoryAttention, TwoWayTransformer)


def is_sharded(tensor: Tensor) -> bool:
    """Whether processes hold parts of a tensor."""
    # importing it takes seconds, and where it was not imported nothing is sharded
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def shard(model: nn.Module, gradient_dtype: torch.dtype | None = None) -> list[str]:
    """Share the large parts of a model out over all processes, in place.

    Parameters
    ----------
    model : nn.Module
        On its device, with the same weights in all processes. Its state-dict keys stay as they are.
    gradient_dtype : torch.dtype, optional
        In which gradients are exchanged; their own by default.

    Returns
    -------
    list of str
        The modules: blocks of the image encoder, the memory attention, the transformer of the mask decoder.

    Notes
    -----
    All processes have to run these parts equally often in a step, forward and backward; :func:`gathered` lifts that.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    device = next(model.parameters()).device
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy(reduce_dtype=gradient_dtype)
    chosen = [(name, module) for name, module in model.named_modules() if isinstance(module, _PARTS)]
    for _, module in chosen:
        fully_shard(module, mesh=mesh, reshard_after_forward=True, mp_policy=policy)
    return [name for name, _ in chosen]


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Within the context every process holds all weights, and may run the model as often as it likes; none may change.

    Parameters
    ----------
    model : nn.Module
        Sharded or not.
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    parts: list[Any] = [
        module for module in model.modules() if fsdp is not None and isinstance(module, fsdp.FSDPModule)
    ]
    for part in parts:
        part.set_reshard_after_forward(False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(True)


def own_part(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor: a view, or the tensor itself if it is whole."""
    return cast("DTensor", tensor).to_local() if is_sharded(tensor) else tensor


def shared_out_like(whole: Tensor, like: Tensor) -> Tensor:
    """Return a tensor that all processes hold, shared out as another one of its shape is.

    Parameters
    ----------
    whole : Tensor
    like : Tensor
        If it is not sharded, ``whole`` is returned, on its device.
    """
    whole = whole.to(like.device)
    if not is_sharded(like):
        return whole
    from torch.distributed.tensor import distribute_tensor

    # every process has read the same file: nothing is sent
    sharded = cast("DTensor", like)
    return distribute_tensor(whole, sharded.device_mesh, sharded.placements, src_data_rank=None)


def joined(tensor: Tensor) -> Tensor:
    """Return a tensor whole; one that is sharded, in CPU memory. All processes have to ask for it."""
    return cast("DTensor", tensor.detach()).full_tensor().cpu() if is_sharded(tensor) else tensor


def joined_parts(part: Tensor, like: Tensor) -> Tensor:
    """Return the whole of which each process holds a part, given a tensor that is shared out in the same way."""
    if not is_sharded(like):
        return part
    from torch.distributed.tensor import DTensor

    sharded = cast("DTensor", like)
    whole = DTensor.from_local(
        part, sharded.device_mesh, sharded.placements, shape=sharded.shape, stride=sharded.stride()
    )
    return joined(whole)


@torch.no_grad()
def clip_gradients(parameters: list[nn.Parameter], most: float | None, kind: float) -> float:
    """Scale gradients down together, in place, so that their norm is at most ``most``.

    Parameters
    ----------
    parameters : list of nn.Parameter
        Whole or sharded; one without a gradient is left out.
    most : float or None
        None leaves them as they are.
    kind : float
        Which norm: its exponent, or infinity.

    Returns
    -------
    float
        Their norm before.
    """
    whole = [p.grad for p in parameters if p.grad is not None and not is_sharded(p.grad)]
    parts = [own_part(p.grad) for p in parameters if p.grad is not None and is_sharded(p.grad)]
    norm = torch.nn.utils.get_total_norm(whole, kind)
    if any(is_sharded(p) for p in parameters):
        others = torch.nn.utils.get_total_norm(parts, kind).to(parameters[0].device)
        if kind == float("inf"):
            dist.all_reduce(others, dist.ReduceOp.MAX)
            norm = torch.maximum(norm.to(others.device), others)
        else:
            others = others**kind
            dist.all_reduce(others)
            norm = (norm.to(others.device) ** kind + others) ** (1 / kind)
    if most is not None and whole + parts:
        scale = torch.clamp(most / (norm + 1e-6), max=1.0)
        torch._foreach_mul_(whole + parts, scale)
    return float(norm)

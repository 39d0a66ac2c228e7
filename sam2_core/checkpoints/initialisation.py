"""Build a network without drawing the random weights that a checkpoint is about to replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWS = frozenset(
    {
        Tensor.uniform_,
        Tensor.normal_,
        Tensor.erfinv_,  # most of the time trunc_normal_ takes, which shows no function of its own here
        nn.init.uniform_,
        nn.init.normal_,
        nn.init.kaiming_uniform_,
        nn.init.kaiming_normal_,
    }
)


class WithoutRandomWeights(TorchFunctionMode):
    """Context in which tensors are allocated, but random values are not drawn into them.

    Of the seconds it takes to construct the large model, nearly all go into drawing weights. Affects the calling
    thread only. Whoever uses it has to fill every parameter and buffer afterwards.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the tensor as it is where ``func`` would draw into it."""
        if func in _DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))

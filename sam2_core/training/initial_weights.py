"""Weights that a training starts from, under their official names and arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sam2_core.checkpoints.load import read_checkpoint
from sam2_core.errors import CheckpointError, MissingFileError
from sam2_core.training.optimiser import names_matching

StateDict = Mapping[str, Tensor]


class CkptExcludeKernel:
    """Leaves out weights by name patterns."""

    def __init__(self, key_pattern: Sequence[str]) -> None:
        self.key_pattern = list(key_pattern)

    def __call__(self, state_dict: StateDict) -> dict[str, Tensor]:
        """Return the other weights."""
        left_out = names_matching(self.key_pattern, state_dict)
        return {name: value for name, value in state_dict.items() if name not in left_out}


class CkptIncludeKernel(CkptExcludeKernel):
    """Takes only weights that match name patterns."""

    def __call__(self, state_dict: StateDict) -> dict[str, Tensor]:
        """Return those weights."""
        taken = names_matching(self.key_pattern, state_dict)
        return {name: value for name, value in state_dict.items() if name in taken}


def load_checkpoint(
    path_list: Sequence[str], pick_recursive_keys: Sequence[Any] | None = None, map_location: str = "cpu"
) -> Any:
    """Read the first of several files that exists, and the entry in it that keys lead to; tensors and plain values."""
    path = next((Path(each) for each in path_list if Path(each).exists()), None)
    if path is None:
        raise MissingFileError(f"None of these checkpoints exists: {', '.join(map(str, path_list))}")
    found: Any = torch.load(path, map_location=map_location, weights_only=True)
    for key in pick_recursive_keys or ():
        if key not in found:
            raise CheckpointError(f"{path} has no entry {key!r}; it has {', '.join(map(str, found))}")
        found = found[key]
    return found


def load_checkpoint_and_apply_kernels(
    checkpoint_path: str,
    checkpoint_kernels: Sequence[Callable[..., StateDict]] | None = None,
    ckpt_state_dict_keys: Sequence[Any] = ("state_dict",),
    map_location: str = "cpu",
) -> StateDict:
    """Read weights and let kernels choose among them.

    Parameters
    ----------
    checkpoint_path : str
        Any SAM 2 checkpoint, or a file whose entry is named.
    checkpoint_kernels : sequence of callable, optional
        Each is given ``state_dict``.
    ckpt_state_dict_keys : sequence
        Entry of a torch file that holds the weights. A SAM 2 checkpoint needs none.
    map_location : str
    """
    if not Path(checkpoint_path).exists():
        raise MissingFileError(
            f"There are no weights {checkpoint_path} to start from; `sam2 download` fetches the official ones. Give "
            "their path as an override: trainer.checkpoint.model_weight_initializer.state_dict.checkpoint_path=PATH"
        )
    if list(ckpt_state_dict_keys) == ["model"] or Path(checkpoint_path).suffix == ".safetensors":
        state: StateDict = read_checkpoint(checkpoint_path).state_dict
    else:
        state = load_checkpoint([checkpoint_path], ckpt_state_dict_keys, map_location)
    for kernel in checkpoint_kernels or ():
        state = kernel(state_dict=state)
    return state


def load_state_dict_into_model(
    state_dict: StateDict,
    model: nn.Module,
    strict: bool = True,
    ignore_missing_keys: Sequence[str] | None = None,
    ignore_unexpected_keys: Sequence[str] | None = None,
    checkpoint_kernels: Sequence[Callable[..., StateDict]] | None = None,
) -> nn.Module:
    """Copy weights into a model.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
    model : nn.Module
        Changed in place, and returned.
    strict : bool
        Refuse weights that do not cover the model.
    ignore_missing_keys, ignore_unexpected_keys : sequence of str, optional
        Name patterns that may be missing, or too many.
    checkpoint_kernels : sequence of callable, optional

    Raises
    ------
    CheckpointError
        Names or shapes that do not fit; the model is as it was.
    """
    for kernel in checkpoint_kernels or ():
        state_dict = kernel(state_dict=state_dict)
    own = model.state_dict()
    missing = [name for name in own if name not in state_dict]
    unexpected = [name for name in state_dict if name not in own]
    shapes = [name for name, value in own.items() if name in state_dict and state_dict[name].shape != value.shape]
    if missing and ignore_missing_keys:
        missing = sorted(set(missing) - names_matching(ignore_missing_keys, missing))
    if unexpected and ignore_unexpected_keys:
        unexpected = sorted(set(unexpected) - names_matching(ignore_unexpected_keys, unexpected))
    if unexpected or shapes or (missing and strict):
        raise CheckpointError(
            f"The weights do not fit the model: {len(missing)} missing {missing[:3]}, {len(unexpected)} unexpected "
            f"{unexpected[:3]}, {len(shapes)} of another shape {shapes[:3]}"
        )
    model.load_state_dict(dict(state_dict), strict=False)
    return model

"""Read and write weights files. Reading never runs code that a file brings along.

Understood are ``.pt`` / ``.pth`` files (torch's restricted unpickler) and ``.safetensors``, told apart by their first
bytes and not by their names, with the official keys or those of Hugging Face transformers, however the state dict is
nested or prefixed inside.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sam2_core.checkpoints.huggingface import (
    HUGGING_FACE_MARKER,
    from_hugging_face,
    is_hugging_face,
    to_hugging_face,
)
from sam2_core.checkpoints.huggingface_config import image_size_beside
from sam2_core.errors import CheckpointError, InvalidInputError, MissingFileError

if TYPE_CHECKING:
    import os

WEIGHTS_NAME = "model.safetensors"
"""What the weights in a folder of Hugging Face transformers are called."""

_LOGGER = logging.getLogger(__name__)
_OFFICIAL_MARKER = "image_encoder.trunk.patch_embed.proj.weight"
# where training code keeps the weights; those in use before their running average
_USUAL_NESTS = ("model", "state_dict", "model_state_dict", "module", "net", "ema", "model_ema", "ema_state_dict")
_MAX_NESTING = 4


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights as read from a file.

    Attributes
    ----------
    path : Path
        The file.
    state_dict : dict of str to Tensor
        Official keys; tensors on the CPU, in the file's dtypes.
    metadata : dict of str to str
        What a safetensors file says about itself; ours name their configuration as ``sam2_config`` and the size they
        were trained at as ``sam2_image_size``, which is otherwise taken from a ``config.json`` of transformers beside
        it.
    """

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read SAM 2 weights from a file.

    Parameters
    ----------
    path : str or os.PathLike
        A ``.pt``, ``.pth`` or ``.safetensors`` file, or a folder with ``model.safetensors``.

    Returns
    -------
    Checkpoint
        The weights under official keys.

    Raises
    ------
    MissingFileError
        When there is no such file.
    CheckpointError
        When the file is empty, cut off, a web page, of an unknown format, needs code to be read, or holds no SAM 2.
    """
    path = Path(path)
    if path.is_dir() and (path / WEIGHTS_NAME).is_file():
        path = path / WEIGHTS_NAME
    if not path.is_file():
        what = "is a folder without a model.safetensors" if path.is_dir() else "does not exist"
        raise MissingFileError(f"checkpoint {path} {what}; expected a .pt or .safetensors file")
    head = _first_bytes(path)
    metadata: dict[str, str] = {}
    content: Any
    if _is_safetensors(head):
        content, metadata = _read_safetensors(path)
    elif head.startswith((b"PK", b"\x80")):
        content = _read_torch(path, is_archive=head.startswith(b"PK"))
    else:
        raise CheckpointError(f"{path} {_describe(head)}; expected a .pt or .safetensors file")
    if path.name == WEIGHTS_NAME and "sam2_image_size" not in metadata and (size := image_size_beside(path)):
        metadata = {**metadata, "sam2_image_size": size}
    return Checkpoint(path, official_state_dict(content, str(path)), metadata)


def official_state_dict(content: object, label: str = "the checkpoint") -> dict[str, Tensor]:
    """Find a SAM 2 state dict inside what a training program saved.

    Parameters
    ----------
    content : object
        A state dict, or mappings around it (``{"model": …}``, ``{"state_dict": …}``, averaged weights); its keys may
        share a prefix (``module.``, ``model.``, ``_orig_mod.``) and may be those of Hugging Face.
    label : str
        What to call it in messages.

    Returns
    -------
    dict of str to Tensor
        Official keys.

    Raises
    ------
    CheckpointError
        When there is none inside.
    """
    nested = _find_state_dict(content, _MAX_NESTING)
    if nested is None:
        raise CheckpointError(f"{label} holds no SAM 2 weights: {_what_it_holds(content)}")
    marker_key, keys = nested
    marker = HUGGING_FACE_MARKER if marker_key.endswith(HUGGING_FACE_MARKER) else _OFFICIAL_MARKER
    prefix = marker_key.removesuffix(marker)
    state_dict: dict[str, Tensor] = {}
    for key, value in keys.items():
        if not key.startswith(prefix):
            _LOGGER.info("%s: %s is not part of the model and is left out", label, key)
        elif isinstance(value, Tensor):
            state_dict[key.removeprefix(prefix).replace("_orig_mod.", "")] = value
        else:
            raise CheckpointError(f"{label}: weight {key!r} is a {type(value).__name__}, expected a tensor")
    return from_hugging_face(state_dict) if is_hugging_face(state_dict) else state_dict


def save_checkpoint(
    path: str | os.PathLike[str],
    state_dict: Mapping[str, Tensor],
    *,
    layout: str = "official",
    dtype: torch.dtype | None = None,
    config: str | None = None,
    image_size: int | None = None,
) -> Path:
    """Write weights to a file.

    Parameters
    ----------
    path : str or os.PathLike
        ``.safetensors``, or ``.pt`` / ``.pth`` (then ``{"model": …}``, as the official files are).
    state_dict : mapping of str to Tensor
        Official keys.
    layout : {"official", "hugging_face"}
        Which keys to write.
    dtype : torch.dtype, optional
        Number format of floating-point weights; as they are when omitted.
    config : str, optional
        Name of the configuration, recorded in a safetensors file.
    image_size : int, optional
        Size in pixels the weights were trained at, recorded in a safetensors file.

    Returns
    -------
    Path
        The file; it appears complete or not at all.

    Raises
    ------
    InvalidInputError
        When the suffix or the layout is unknown.
    """
    path = Path(path)
    if layout not in ("official", "hugging_face"):
        raise InvalidInputError(f"layout is 'official' or 'hugging_face', got {layout!r}")
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise InvalidInputError(f"weights are written as .safetensors, .pt or .pth, got {path.name!r}")
    keys = to_hugging_face(state_dict) if layout == "hugging_face" else dict(state_dict)
    # clone: safetensors refuses tensors that share memory, and Hugging Face stores one of ours twice
    weights = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous().clone()
        for key, value in keys.items()
    }
    temporary = path.with_name(f".{path.name}.tmp")
    if path.suffix == ".safetensors":
        metadata = {"format": "pt"}
        if config is not None:
            metadata["sam2_config"] = config
        if image_size is not None:
            metadata["sam2_image_size"] = str(image_size)
        # not save_file: it writes files that only their owner may read
        temporary.write_bytes(save(weights, metadata))
    else:
        torch.save({"model": weights}, temporary)
    temporary.replace(path)
    return path


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, then JSON; a length no header has is another format."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def _describe(head: bytes) -> str:
    text = head.lstrip().lower()
    if not head:
        return "is empty; the download or copy did not happen"
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<!--")):
        return "is a web page, not weights: the address it was saved from shows a page; download the file itself"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not weights; run 'git lfs pull' where it was cloned"
    if not any(head):
        return "starts with zeros, as an unfinished download does"
    return f"is of an unknown format (it starts with {head[:8]!r})"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is a damaged or incomplete safetensors file ({error}); get it again") from error


def _read_torch(path: Path, *, is_archive: bool) -> Any:
    try:
        # mmap: pages of an archive are read as they are copied into the model, not the whole file at once
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)|(?:class|function|type) (\S+)", str(error))
        culprit = f" ({found[1] or found[2]})" if found else ""
        if found is None and "Weights only load failed" not in str(error):
            raise CheckpointError(f"{path} is damaged or incomplete ({error}); get it again") from error
        raise CheckpointError(
            f"{path} holds more than weights{culprit}, and reading that could run code, so it is not read. Ask its "
            "author for a .safetensors file, or, where you trust it, save only its state dict: "
            "torch.save({'model': torch.load(path, weights_only=False)['model']}, new_path)"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle fails inside the unpickler in any way it likes
        reason = str(error).split("\n", 1)[0]
        raise CheckpointError(
            f"{path} is not a complete torch checkpoint ({reason}): an interrupted download or copy, or another kind "
            "of archive; get it again"
        ) from error


def _find_state_dict(content: object, depth: int) -> tuple[str, Mapping[str, object]] | None:
    """The mapping that holds the weights, and the full name of a key every SAM 2 has."""
    if not isinstance(content, Mapping) or depth == 0:
        return None
    named = [key for key in content if isinstance(key, str) and key.endswith((_OFFICIAL_MARKER, HUGGING_FACE_MARKER))]
    if named:
        return min(named, key=len), content
    usual = [content[name] for name in _USUAL_NESTS if name in content]
    others = [value for key, value in content.items() if key not in _USUAL_NESTS]
    for value in (*usual, *others):
        found = _find_state_dict(value, depth - 1)
        if found is not None:
            return found
    return None


def _what_it_holds(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"it is a {type(content).__name__}"
    names = [str(key) for key in content]
    inner = next((content[name] for name in _USUAL_NESTS if isinstance(content.get(name), Mapping)), content)
    keys = [str(key) for key in inner] if isinstance(inner, Mapping) else names
    if any(key.endswith("image_encoder.patch_embed.proj.weight") for key in keys):
        return "these are weights of SAM 1, which is another network"
    if any(".trunk.blocks." in key or "detector." in key for key in keys):
        return "these are weights of a relative of SAM 2 with another image encoder"
    return f"{len(keys)} entries such as {', '.join(keys[:3])}" if keys else "it is empty"

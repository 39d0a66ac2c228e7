"""A checkpoint written again, as a file in the official layout or as a folder that Hugging Face transformers reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sam2_core.checkpoints.build import locate_weights, model_config
from sam2_core.checkpoints.config import config_names
from sam2_core.checkpoints.huggingface_config import (
    CONFIG_NAME,
    PROCESSOR_NAME,
    hugging_face_config,
    hugging_face_processor,
)
from sam2_core.checkpoints.load import WEIGHTS_NAME, read_checkpoint, save_checkpoint
from sam2_core.checkpoints.precision import resolve_precision
from sam2_core.errors import DestinationExistsError, InvalidInputError

if TYPE_CHECKING:
    import os

_SUFFIXES = (".safetensors", ".pt", ".pth")


def convert_checkpoint(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    image_size: int | None = None,
    dtype: str | torch.dtype | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a checkpoint in another format or layout.

    Parameters
    ----------
    source : str or os.PathLike
        Name in the catalogue, Hugging Face id, weights file, or folder of Hugging Face transformers; the weights have
        to be here.
    destination : str or os.PathLike
        A ``.safetensors``, ``.pt`` or ``.pth`` file gets the official layout; any other name is a folder, which gets
        the ``model.safetensors``, ``config.json`` and ``processor_config.json`` that ``from_pretrained`` of
        transformers' ``Sam2VideoModel`` and ``Sam2Model``, ``Sam2VideoProcessor`` and ``Sam2Processor`` reads.
    image_size : int, optional
        Side of the model's input in pixels, recorded with the weights; as the source says when omitted.
    dtype : {"fp32", "bf16", "fp16"} or torch.dtype, optional
        Number format of the weights; as in the source when omitted.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    Path
        The file or the folder.

    Raises
    ------
    DestinationExistsError
        The destination exists.
    MissingFileError, UnknownModelError, CheckpointError
        As for :func:`~sam2_core.checkpoints.build.load_model`.
    InvalidInputError
        The destination is the source, or a folder named like a file or the other way round.
    """
    destination = Path(destination)
    chosen = None if dtype is None else resolve_precision(dtype, "cpu")
    path, entry = locate_weights(source)
    if destination.resolve() in (path.resolve(), path.parent.resolve(), Path(source).resolve()):
        raise InvalidInputError(f"source and destination are the same, {destination}; choose another destination")
    is_file = destination.suffix in _SUFFIXES
    if destination.exists() and destination.is_file() != is_file:
        expected = "a folder" if destination.is_file() else "a .safetensors, .pt or .pth file"
        raise InvalidInputError(f"{destination} is {'a file' if destination.is_file() else 'a folder'}, not {expected}")
    target = destination if is_file else destination / WEIGHTS_NAME
    if target.exists() and not overwrite:
        raise DestinationExistsError(f"{target} exists already; choose another destination, or overwrite it")
    checkpoint = read_checkpoint(path)
    config = model_config(source, image_size=image_size)
    named = checkpoint.metadata.get("sam2_config") if entry is None else entry.config
    size = config.model.image_size
    weights = checkpoint.state_dict
    target.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        target,
        weights,
        layout="official" if is_file else "hugging_face",
        dtype=chosen,
        config=named if named in config_names() else None,
        image_size=size if isinstance(size, int) else None,
    )
    if not is_file:
        document = hugging_face_config(config, weights)
        if chosen is not None:
            document["dtype"] = str(chosen).removeprefix("torch.")
        for name, content in ((CONFIG_NAME, document), (PROCESSOR_NAME, hugging_face_processor(config))):
            (destination / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return destination

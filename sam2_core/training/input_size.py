"""Change the input size of a network in place, keeping what it knows about distances in pixels."""

from __future__ import annotations

import torch

from sam2_core.errors import InvalidInputError
from sam2_core.model import SAM2Base


def set_input_size(model: SAM2Base, size: int) -> None:
    """Make a network take images of size x size.

    Position codes of prompts are waves over the image's width. Their frequencies are scaled with the size, so that a
    place's code depends on its distance in pixels from the middle whatever the size, and widths learned at one size
    hold at another. (The official code keeps the frequencies: cells look narrower to the decoder in larger inputs.)

    Parameters
    ----------
    model : SAM2Base
        Changed in place.
    size : int
        Pixels; a multiple of 32.

    Raises
    ------
    InvalidInputError
        If `size` is not a positive multiple of 32.
    """
    if size <= 0 or size % 32:
        raise InvalidInputError(f"The input size must be a positive multiple of 32, got {size}.")
    before = model.input_size[0]
    if before == size and model.input_size[1] == size:
        return
    model.image_size = size
    encoder = model.sam_prompt_encoder
    grid = size // model.backbone_stride
    encoder.input_image_size = (size, size)
    encoder.image_embedding_size = (grid, grid)
    encoder.mask_input_size = (4 * grid, 4 * grid)
    with torch.no_grad():
        encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(size / before)

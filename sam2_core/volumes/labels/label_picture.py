"""One PNG whose pixels are object ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError, MissingFileError


def read_label_picture(path: Path) -> NDArray[np.integer[Any]]:
    """Read a PNG whose pixels are object ids (palette, grey, 16 bit): (y, x).

    Raises
    ------
    MissingFileError
        No such file.
    InvalidInputError
        A picture in colours: no labels.
    """
    if not path.exists():
        raise MissingFileError(f"There is no label image {path}.")
    with Image.open(path) as picture:
        if picture.mode not in ("P", "L", "1", "I", "I;16"):
            raise InvalidInputError(
                f"{path} is a picture of mode {picture.mode}, not a label image: expected a palette or one channel "
                "whose values are object ids. Was the folder of images given as that of the labels?"
            )
        return np.asarray(picture).astype(np.int64)

"""PNG folders in the DAVIS layout: ``00000.png``, … , whose pixels are object ids, with a palette to look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.folder_volume import natural_order
from sam2_core.volumes.labels.colours import label_colours
from sam2_core.volumes.labels.destination import replaced
from sam2_core.volumes.labels.folder_writer import DESCRIPTION_NAME, FolderWriter, read_description
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.layout import LabelLayout

_PALETTE = label_colours(np.arange(256)).tobytes()


class PngLabelWriter(FolderWriter):
    """Writes a folder of indexed PNGs (uint8, ids to 255) or 16-bit grey PNGs (uint16). See :class:`FolderWriter`."""

    def __init__(self, destination: Path, layout: LabelLayout, **options: Any) -> None:
        if layout.dtype.itemsize > 2:
            raise InvalidInputError(
                'PNG pictures hold ids up to 255 (dtype="uint8", with a palette) or 65535 (dtype="uint16"); for more '
                "choose another format, such as ome-zarr."
            )
        super().__init__(destination, layout, **options)

    def _frame_name(self, index: int) -> str:
        return f"{index:05d}.png"

    def _save_frame(self, path: Path, labels: NDArray[Any]) -> None:
        picture = Image.fromarray(labels)
        if labels.dtype == np.uint8:
            picture.putpalette(_PALETTE)
        picture.save(path, format="PNG")

    def _load_frame(self, path: Path) -> NDArray[Any]:
        return read_png_labels(path)

    def _finish_part(self) -> None:
        self._fill_unwritten()
        replaced(self._part, self.destination)

    def _open_finished(self) -> LabelStack:
        return PngLabels(self.destination)

    def _require_replaceable(self) -> None:
        require_only(self.destination, r".*\.png")
        if any(self.destination.iterdir()):
            self._require_labels()  # pictures in colours are none


def require_only(folder: Path, pattern: str) -> None:
    """Refuse to replace a folder that holds something else than labels.

    Raises
    ------
    InvalidInputError
        Naming a file that would be lost.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is a file, and labels in this format are a folder. Choose another name.")
    for entry in folder.iterdir():
        if entry.name != DESCRIPTION_NAME and not (entry.is_file() and re.fullmatch(pattern, entry.name)):
            raise InvalidInputError(
                f"{folder} is not replaced, since it holds {entry.name}, which is not one of the labels. Choose "
                "another folder, or remove this one yourself."
            )


def read_png_labels(path: Path) -> NDArray[Any]:
    """Object ids of one PNG: (y, x), uint8 or wider.

    Raises
    ------
    InvalidInputError
        Colours instead of ids, or a damaged file.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L", "1", "I", "I;16", "I;16B"):
                raise InvalidInputError(
                    f"{path} is a picture in colours ({picture.mode}). Labels are indexed (palette) or grey PNGs, "
                    "whose values are object ids."
                )
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise MissingFileError(f"{path} is missing.") from error
        raise InvalidInputError(
            f"{path} cannot be read as a PNG ({error}). It is damaged, or something else."
        ) from error


class PngLabels(LabelStack):
    """The frames of a folder of PNGs, in the natural order of their names; finished, unfinished, or of another program.

    Parameters
    ----------
    source : Path
    """

    def __init__(self, source: Path) -> None:
        if (source / DESCRIPTION_NAME).exists():
            layout, metadata, written = read_description(source)
            paths = [source / f"{index:05d}.png" for index in range(layout.length)]
            if written is None:
                written = np.array([path.exists() for path in paths])
        else:
            paths = sorted((path for path in source.iterdir() if path.suffix.lower() == ".png"), key=natural_order)
            if not paths:
                raise InvalidInputError(f"{source} holds no PNGs.")
            first = read_png_labels(paths[0])
            dtype = np.dtype(np.uint8) if first.dtype.itemsize == 1 else np.dtype(np.uint16)
            layout = LabelLayout(len(paths), (first.shape[0], first.shape[1]), "frame", dtype)
            metadata, written = {}, None
        super().__init__(str(source), layout, written=written, metadata=metadata)
        self._paths = paths

    def _read_pixels(self, index: int) -> NDArray[Any]:
        path = self._paths[index]
        if not self._written[index] and not path.exists():
            return np.zeros(self.frame_size, dtype=self.dtype)
        return read_png_labels(path)

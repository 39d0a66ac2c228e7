"""Which frames of an unfinished label TIFF are written: a line a frame, beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.layout import LabelLayout


class FrameJournal:
    """A text file whose first line describes the stack and whose others are numbers of written frames.

    A line counts once it is complete, so that a run that is killed leaves a journal that is right.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, layout: LabelLayout, metadata: dict[str, Any]) -> None:
        """Begin a journal."""
        header = {**layout.as_json(), "metadata": metadata}
        self.path.write_text(json.dumps(header) + "\n", encoding="utf-8")

    def read(self) -> tuple[LabelLayout, dict[str, Any], NDArray[np.bool_]]:
        """Return the layout, the metadata and which frames are written: (frame,), bool.

        Raises
        ------
        InvalidInputError
            Not such a journal.
        """
        lines = self.path.read_text(encoding="utf-8").split("\n")
        try:
            header = json.loads(lines[0])
            layout = LabelLayout.from_json(header)
            written = np.zeros(layout.length, dtype=np.bool_)
            # what follows the last line break is a line that was being written
            written[[int(line) for line in lines[1:-1] if line]] = True
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise InvalidInputError(
                f"{self.path} does not say which frames are written ({error}). Remove it and the .part file beside it, "
                "or pass overwrite=True."
            ) from error
        return layout, header.get("metadata") or {}, written

    def append(self, index: int) -> None:
        """Record that a frame is written."""
        with self.path.open("a+b") as file:
            file.seek(-1, os.SEEK_END)
            # a line that a killed run left unfinished must not run into this one; it may even read as another number
            torn = file.read(1) != b"\n"
            file.write(f"{chr(10) if torn else ''}{index}\n".encode())

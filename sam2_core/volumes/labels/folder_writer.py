"""Label writers that keep a file a frame in a part folder: for folders of pictures, and for formats made at the end."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.destination import removed
from sam2_core.volumes.labels.frame_ranges import parsed_ranges, ranges_text
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.part_writer import PartWriter

DESCRIPTION_NAME = "label_stack.json"


class FolderWriter(PartWriter):
    """A part folder with one picture a frame, each put in place at once: a frame is written when its file is there.

    ``label_stack.json`` in it describes the stack. See :class:`PartWriter`.
    """

    def __init__(self, destination: Path, layout: LabelLayout, **options: Any) -> None:
        self._part = destination.with_name(destination.name + ".part")
        super().__init__(destination, layout, **options)

    @abstractmethod
    def _frame_name(self, index: int) -> str:
        """File name of a frame."""

    @abstractmethod
    def _save_frame(self, path: Path, labels: NDArray[Any]) -> None:
        """Write one frame's file."""

    @abstractmethod
    def _load_frame(self, path: Path) -> NDArray[Any]:
        """Read what :meth:`_save_frame` wrote."""

    def _part_exists(self) -> bool:
        return (self._part / DESCRIPTION_NAME).exists()

    def _part_layout(self) -> LabelLayout:
        return read_description(self._part)[0]

    def _create_part(self) -> None:
        self._part.mkdir(parents=True)
        write_description(self._part, self.layout, self.metadata, None)

    def _open_part(self) -> None:
        _, metadata, written = read_description(self._part)
        self.metadata = self.metadata or metadata
        if written is not None:
            # stopped while being finished: the frames nobody wrote are in the way of those that may come
            for index in np.flatnonzero(~written).tolist():
                removed(self._part / self._frame_name(index))
            write_description(self._part, self.layout, self.metadata, None)
        for index in range(len(self)):
            self._written[index] = (self._part / self._frame_name(index)).exists()

    def _write_pixels(self, index: int, labels: NDArray[Any], y0: int, x0: int) -> None:
        if labels.shape == self.frame_size:
            frame = labels
        else:
            frame = self._read_pixels(index)
            frame[y0 : y0 + labels.shape[0], x0 : x0 + labels.shape[1]] = labels
        path = self._part / self._frame_name(index)
        if not self._written[index]:
            path = self._pending(index)
        self._put(path, frame)

    def _pending(self, index: int) -> Path:
        # a frame of which only parts have come does not count as written
        return self._part / f"pending_{self._frame_name(index)}"

    def _put(self, path: Path, frame: NDArray[Any]) -> None:
        fresh = path.with_name("fresh_" + path.name)
        try:
            self._save_frame(fresh, frame)
            os.replace(fresh, path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def _record_written(self, index: int) -> None:
        pending = self._pending(index)
        path = self._part / self._frame_name(index)
        if pending.exists():
            os.replace(pending, path)
        elif not path.exists():  # a window of no pixels completed it
            self._put(path, np.zeros(self.frame_size, self.dtype))

    def _read_part(self, index: int) -> NDArray[Any]:
        for path in (self._part / self._frame_name(index), self._pending(index)):
            if path.exists():
                return np.array(self._load_frame(path), dtype=self.dtype)
        return np.zeros(self.frame_size, dtype=self.dtype)

    def _fill_unwritten(self) -> None:
        """Write the frames nobody wrote as background, and what they are."""
        missing = np.flatnonzero(~self._written)
        write_description(self._part, self.layout, self.metadata, self._written)
        blank = np.zeros(self.frame_size, dtype=self.dtype)
        for index in missing.tolist():
            pending = self._pending(index)
            if pending.exists():
                os.replace(pending, self._part / self._frame_name(index))
            else:
                self._put(self._part / self._frame_name(index), blank)

    def _close_part(self) -> None:
        """Hold nothing open."""

    def _remove_part(self) -> None:
        removed(self._part)


def write_description(
    folder: Path, layout: LabelLayout, metadata: dict[str, Any], written: NDArray[np.bool_] | None
) -> None:
    """Write ``label_stack.json``; `written` only when the folder is being finished."""
    content = {**layout.as_json(), "metadata": metadata}
    if written is not None:
        content["unwritten"] = ranges_text(~written)
    fresh = folder / (DESCRIPTION_NAME + ".fresh")
    fresh.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
    os.replace(fresh, folder / DESCRIPTION_NAME)


def read_description(folder: Path) -> tuple[LabelLayout, dict[str, Any], NDArray[np.bool_] | None]:
    """Read ``label_stack.json``: layout, metadata, and which frames are written (None while unfinished).

    Raises
    ------
    InvalidInputError
        It is damaged.
    """
    path = folder / DESCRIPTION_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        layout = LabelLayout.from_json(content)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{path} does not describe a label stack ({error}). Remove it, or pass overwrite=True."
        ) from error
    unwritten = content.get("unwritten")
    written = None if unwritten is None else ~parsed_ranges(str(unwritten), layout.length)
    return layout, content.get("metadata") or {}, written

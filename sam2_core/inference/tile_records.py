"""What was found for each object, place and frame, and what else is needed to go on, kept outside memory."""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sam2_core.errors import StateError, WriteError
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask

_CACHE_KIB = 8192
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS found (
    frame INTEGER, object INTEGER, place INTEGER,
    y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, iou REAL, score REAL, bits BLOB,
    PRIMARY KEY (frame, object, place)
) WITHOUT ROWID
""",
    "CREATE TABLE IF NOT EXISTS notes (kind TEXT, number INTEGER, note TEXT, PRIMARY KEY (kind, number)) WITHOUT ROWID",
)


class MaskRecords:
    """Masks by frame, object and the place (tile, crop) that found them, and notes beside them.

    Without a path they live in a private temporary database that SQLite keeps in a few megabytes of memory and beyond
    that in a file, which disappears with it: memory does not grow with the number of frames. Objects go by numbers.

    What is written counts from :meth:`commit` on: all of it, also after the process was killed, or none.

    Parameters
    ----------
    path : Path, optional
        Where to keep them. What is there is taken up.

    Raises
    ------
    StateError
        Another process has them open, or the file is damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        # an empty name means a temporary file; a lock of our own because threads may share it
        self._database = sqlite3.connect(str(path or ""), check_same_thread=False, isolation_level=None, timeout=0)
        self._lock = threading.Lock()
        self._place = path or "a temporary file"
        try:
            self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            # a killed process loses nothing by it
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("BEGIN EXCLUSIVE")
            for table in _TABLES:
                self._database.execute(table)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise StateError(
                f"The records in {path} cannot be opened ({error}). If another process works with them, wait for it; "
                "else remove the folder and begin again."
            ) from error

    def commit(self) -> None:
        """Let what was written since the last time count."""
        with self._writing():
            self._database.execute("COMMIT")
            self._database.execute("BEGIN EXCLUSIVE")

    def note(self, kind: str, number: int, content: Any) -> None:
        """Keep a note, in place of one of the same kind and number; `content` is anything that JSON can hold."""
        with self._writing():
            row = kind, number, json.dumps(content)
            self._database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", row)

    def notes(self, kind: str) -> dict[int, Any]:
        """Return all notes of a kind, by number, in order."""
        query = "SELECT number, note FROM notes WHERE kind = ? ORDER BY number"
        with self._lock:
            rows = self._database.execute(query, (kind,)).fetchall()
        return {number: json.loads(content) for number, content in rows}

    def forget_note(self, kind: str, number: int) -> None:
        """Delete a note, if there is one."""
        with self._writing():
            self._database.execute("DELETE FROM notes WHERE kind = ? AND number = ?", (kind, number))

    def put(self, frame_index: int, number: int, parts: Mapping[int, ObjectMask]) -> None:
        """Keep what each place found for an object on a frame, instead of what was known there.

        Parameters
        ----------
        frame_index : int
            The frame.
        number : int
            The object.
        parts : mapping of int to ObjectMask
            By place.
        """
        rows = [
            (
                frame_index,
                number,
                place,
                *(part.window.top, part.window.left, part.window.bottom, part.window.right),
                part.predicted_iou,
                part.object_score,
                zlib.compress(np.packbits(part.mask).tobytes(), level=1),
            )
            for place, part in parts.items()
        ]
        with self._writing():
            self._database.execute("DELETE FROM found WHERE frame = ? AND object = ?", (frame_index, number))
            self._database.executemany(f"INSERT INTO found VALUES ({', '.join('?' * 10)})", rows)

    def parts(self, frame_index: int, number: int) -> dict[int, ObjectMask]:
        """Return what is known of an object on a frame, by place; its masks carry no object id."""
        query = "SELECT place, y0, x0, y1, x1, iou, score, bits FROM found WHERE frame = ? AND object = ?"
        with self._lock:
            rows = self._database.execute(query, (frame_index, number)).fetchall()
        return {row[0]: _mask(*row[1:]) for row in rows}

    def frames(self, number: int) -> list[int]:
        """List the frames on which anything is known of an object, in order."""
        query = "SELECT DISTINCT frame FROM found WHERE object = ? ORDER BY frame"
        with self._lock:
            return [row[0] for row in self._database.execute(query, (number,))]

    def forget(self, number: int) -> None:
        """Delete everything known of an object."""
        with self._writing():
            self._database.execute("DELETE FROM found WHERE object = ?", (number,))

    def close(self) -> None:
        """Let go of the database, and of what was not committed."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise WriteError(
                f"Masks cannot be written to {self._place} ({error}). What counted before is intact; make room, or "
                "name a folder elsewhere, and begin this step again."
            ) from error


def _mask(
    top: int, left: int, bottom: int, right: int, iou: float | None, score: float | None, bits: bytes
) -> ObjectMask:
    window = Window(top, left, bottom, right)
    packed = np.frombuffer(zlib.decompress(bits), dtype=np.uint8)
    mask = np.unpackbits(packed, count=window.area).reshape(window.size).astype(np.bool_)
    # SQLite stores NaN as NULL
    return ObjectMask(
        None, window, mask, float("nan") if iou is None else iou, float("nan") if score is None else score
    )

"""What was found for each object, place and frame, kept compressed outside memory."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Mapping

import numpy as np

from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask

_CACHE_KIB = 8192
_TABLE = """
CREATE TABLE found (
    frame INTEGER, object INTEGER, place INTEGER,
    y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, iou REAL, score REAL, bits BLOB,
    PRIMARY KEY (frame, object, place)
) WITHOUT ROWID
"""


class MaskRecords:
    """Masks by frame, object and the place (tile, crop) that found them.

    They live in a private temporary database that SQLite keeps in a few megabytes of memory and beyond that in a file,
    which disappears with it: memory does not grow with the number of frames. Objects go by numbers here.
    """

    def __init__(self) -> None:
        # an empty name means a temporary file; a lock of our own because threads may share it
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(_TABLE)

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
        with self._lock:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM found WHERE frame = ? AND object = ?", (frame_index, number))
            self._database.executemany(f"INSERT INTO found VALUES ({', '.join('?' * 10)})", rows)
            self._database.execute("COMMIT")

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
        with self._lock:
            self._database.execute("DELETE FROM found WHERE object = ?", (number,))

    def close(self) -> None:
        """Delete everything."""
        self._database.close()


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

"""The track table of the Cell Tracking Challenge: one line an object, ``id begin end parent``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_core.errors import InvalidInputError


@dataclass
class Track:
    """First and last frame an object is on, and the object it came from by division (0 for none)."""

    begin: int
    end: int
    parent: int = 0


class TrackTable:
    """Tracks by object id, gathered frame by frame.

    Parameters
    ----------
    parents : mapping of int to int
        Which object each divided from.
    """

    def __init__(self, parents: Mapping[int, int] | None = None) -> None:
        self.tracks: dict[int, Track] = {}
        self._parents = dict(parents or {})

    def observe(self, frame: int, ids: Iterable[int]) -> None:
        """Note which objects are on a frame; 0 is ignored."""
        for object_id in ids:
            if object_id == 0:
                continue
            track = self.tracks.get(object_id)
            if track is None:
                self.tracks[object_id] = Track(frame, frame, self._parents.get(object_id, 0))
            else:
                track.begin, track.end = min(track.begin, frame), max(track.end, frame)

    def save(self, path: Path) -> None:
        """Write the table, by ascending id. Parents that are on no frame are left out, as the format demands."""
        lines = [
            f"{object_id} {track.begin} {track.end} {track.parent if track.parent in self.tracks else 0}\n"
            for object_id, track in sorted(self.tracks.items())
        ]
        fresh = path.with_name(path.name + ".fresh")
        fresh.write_text("".join(lines), encoding="ascii")
        os.replace(fresh, path)

    @classmethod
    def load(cls, path: Path) -> TrackTable:
        """Read a table.

        Raises
        ------
        InvalidInputError
            Not four whole numbers a line, an id twice, or an end before the begin.
        """
        table = cls()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                object_id, begin, end, parent = (int(word) for word in line.split())
            except ValueError:
                raise InvalidInputError(
                    f"{path}, line {number}: expected four whole numbers, id begin end parent; got {line!r}."
                ) from None
            if object_id in table.tracks:
                raise InvalidInputError(f"{path}, line {number}: object {object_id} is there twice.")
            if object_id < 1 or begin > end:
                raise InvalidInputError(f"{path}, line {number}: {line!r} is no track (id from 1, begin <= end).")
            table.tracks[object_id] = Track(begin, end, parent)
        table._parents = {object_id: track.parent for object_id, track in table.tracks.items() if track.parent}
        return table


def checked_parents(metadata: Mapping[str, Any]) -> dict[int, int]:
    """Return ``metadata["parents"]`` as object id to parent id.

    Raises
    ------
    InvalidInputError
        Not ids, or an object that is its own parent.
    """
    try:
        parents = {int(child): int(parent) for child, parent in dict(metadata.get("parents") or {}).items()}
    except (TypeError, ValueError):
        raise InvalidInputError(
            f'metadata["parents"] must map object ids to the ids they divided from; got {metadata["parents"]!r}.'
        ) from None
    for child, parent in parents.items():
        if child < 1 or parent < 1 or child == parent:
            raise InvalidInputError(f'metadata["parents"] says that object {child} divided from {parent}.')
    return parents

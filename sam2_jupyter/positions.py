"""Stacks with one more axis than a session follows: a session for each position on it, one open at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.volumes.volume import Volume
from sam2_jupyter.protocol import Payload


class Positions:
    """Goes from one position to another, such as from time point to time point of a z-stack.

    Each position has a session in a folder of its own, which is made when it is first gone to.

    Parameters
    ----------
    volume : Volume
    at : mapping of str to int
        The position on each axis that the session does not follow.
    folder : path, optional
        Where the folders of the sessions lie; a temporary one by default.
    open_session : callable
        Called with a position and a folder; opens or makes the session there.
    """

    def __init__(
        self,
        volume: Volume,
        at: Mapping[str, int],
        folder: Path | None,
        open_session: Callable[[Mapping[str, int], Path], AnnotationSession],
    ) -> None:
        self._volume = volume
        self._at = dict(at)
        self._is_temporary = folder is None
        self._folder = Path(tempfile.mkdtemp(prefix="sam2-sessions-")) if folder is None else folder
        self._open_session = open_session
        self.session = self._opened()

    def describe(self) -> list[Payload]:
        """For each axis its letter, its length and where it stands."""
        return [
            {"axis": axis, "length": self._volume.sizes[axis], "position": position}
            for axis, position in self._at.items()
        ]

    def move(self, axis: str, position: int) -> AnnotationSession:
        """Close the session, and open that of another position.

        Raises
        ------
        StateError
            Something is going on in the session.
        InvalidInputError, InvalidTypeError
            There is no such axis or position.
        """
        if axis not in self._at:
            raise InvalidInputError(
                f"There is no axis {axis!r} to move along; there are {', '.join(self._at) or 'none'}."
            )
        wanted = self._volume.checked_position(axis, position)
        before, there = self.session, self._at[axis]
        if wanted == there:
            return before
        running = [job for job in before.jobs.active if job.kind != "encode"]
        if running:
            raise StateError(f"{running[0].label!r} is still going on; wait for it, or cancel it, before you move on.")
        self._at[axis] = wanted
        try:
            self.session = self._opened()
        except BaseException:
            self._at[axis] = there
            raise
        if before.model != self.session.model and before.model is not None and not self.session.read_only:
            # it was fine-tuned meanwhile
            self.session.use_model(before.model)
        self.session.preset = before.preset
        before.close()
        return self.session

    def close(self) -> None:
        """Close the session."""
        self.session.close()
        if self._is_temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _opened(self) -> AnnotationSession:
        name = "_".join(f"{axis}{position:05d}" for axis, position in self._at.items())
        return self._open_session(dict(self._at), self._folder / name)

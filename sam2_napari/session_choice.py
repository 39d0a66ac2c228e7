"""The list of kept sessions: looked for beside the interface, since a disk may be slow and sessions many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from qtpy.QtWidgets import QComboBox, QWidget

from sam2_napari.gui_thread import GuiThread, OrderedWork
from sam2_napari.session_folders import KnownSession, known_sessions

NEW: Final = "New session"
LOOKING: Final = "Looking for kept sessions…"


class SessionChoice(QComboBox):
    """A new session, or one that was kept of the same image and frames; the one that was changed last is chosen.

    The data of an entry is the session's folder, None for a new one.

    Parameters
    ----------
    failed : callable
        Gets what went wrong while sessions were looked for.
    parent : QWidget, optional
    """

    def __init__(self, failed: Callable[[Exception], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._failed = failed
        #: What the sessions that are listed are of; None if nothing is chosen.
        self.description: Mapping[str, Any] | None = None
        self._turn = 0  # counts how often they were looked for
        self._wanted: Callable[[], object] | None = None
        self._work = OrderedWork(GuiThread(self), failed)
        self.addItem(NEW, None)

    def look_for(self, description: Mapping[str, Any] | None) -> None:
        """List the kept sessions of something, once they are found; none of None."""
        if description != self.description:
            # who asked to begin has changed their mind
            self._wanted = None
        self.description = description
        self._turn += 1
        self.clear()
        self.addItem(NEW, None)
        if description is None:
            return
        self.addItem(LOOKING, LOOKING)
        self.setCurrentIndex(1)
        turn = self._turn

        def look() -> tuple[list[KnownSession], Exception | None]:
            try:
                # something else may have been chosen while others were looked for
                return (known_sessions(description) if turn == self._turn else []), None
            except Exception as error:
                return [], error

        self._work.do(look, then=lambda found: self._show(turn, *found))

    def when_known(self, function: Callable[[], object]) -> None:
        """Call a function once it is known which sessions are kept, or at once if a person need not know."""
        if self.currentData() == LOOKING:
            self._wanted = function
        else:
            function()

    def _show(self, turn: int, known: list[KnownSession], error: Exception | None) -> None:
        if turn != self._turn:
            return
        is_open = self.currentData() == LOOKING
        self.removeItem(self.findData(LOOKING))
        for one in known:
            self.addItem(one.label, one.folder)
        if is_open:
            # what was interrupted is gone on with, unless a person says otherwise
            self.setCurrentIndex(1 if known else 0)
        wanted, self._wanted = self._wanted, None
        if error is not None:
            self._failed(error)
        if wanted is not None:
            wanted()

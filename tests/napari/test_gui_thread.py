"""What waits for the thread of the interface, and what is not called any more."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtWidgets import QApplication

from sam2_napari.gui_thread import Gathered, GuiThread
from tests.napari.hand import until


@pytest.fixture
def gui(display: None, qapp: Any) -> GuiThread:
    return GuiThread()


def test_what_comes_within_a_short_time_is_one_call(gui: GuiThread) -> None:
    called: list[int] = []
    gathered = Gathered(gui, lambda: called.append(1), 20)
    for _ in range(5):
        gathered.ask()
    until(lambda: called)
    for _ in range(5):
        gathered.ask()
    until(lambda: len(called) == 2)
    until(lambda: not gathered._timer.isActive())
    assert called == [1, 1]


def test_nothing_is_called_once_it_is_closed_not_even_what_was_asked_before(gui: GuiThread) -> None:
    called: list[int] = []
    # it rests for as long as this test may take
    gathered = Gathered(gui, lambda: called.append(1), 600_000)
    gathered.ask()
    until(lambda: called)
    gathered.ask()
    QApplication.processEvents()
    assert called == [1]
    gui.close()
    gui.call(lambda: called.append(2))
    # the rest is over
    gathered._rested()
    QApplication.processEvents()
    assert called == [1]

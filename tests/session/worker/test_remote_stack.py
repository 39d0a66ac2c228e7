"""Frames that are somewhere else: asked for one by one, and one that is looked at again and again only once."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.session.worker.messages import FramePixels, NeedFrame, StackDescription
from sam2_core.session.worker.remote_stack import RemoteStack

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)


class Session:
    """Answers at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.stack = RemoteStack(StackDescription("stack", "t", len(FRAMES), 4, 5), self.answer)
        self.is_readable = True

    def answer(self, message: NeedFrame) -> None:
        self.asked.append(message.frame)
        error = "" if self.is_readable else "the disk is gone"
        self.stack.receive(FramePixels(message.frame, FRAMES[message.frame].tobytes(), error))


def test_windows_of_one_frame_are_cut_from_what_came_once() -> None:
    session = Session()
    for rows, columns in ((slice(0, 2), slice(1, 4)), (slice(1, 4), slice(0, 5)), (slice(0, 4), slice(0, 5))):
        assert np.array_equal(session.stack.read_window(1, rows, columns), FRAMES[1][rows, columns])
    assert session.asked == [1]
    for frame in (0, 2, 1):
        assert np.array_equal(session.stack.read(frame), FRAMES[frame])
    assert session.asked == [1, 0, 2, 1]


def test_a_frame_that_cannot_be_read_is_asked_for_again() -> None:
    session = Session()
    session.is_readable = False
    with pytest.raises(InvalidInputError, match="the disk is gone"):
        session.stack.read(1)
    session.is_readable = True
    assert np.array_equal(session.stack.read(1), FRAMES[1])

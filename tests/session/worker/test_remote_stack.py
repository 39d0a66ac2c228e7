"""Frames that are somewhere else: asked for one by one, and one that is looked at again and again only once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.session.worker.messages import FramePixels, NeedFrame, StackDescription
from sam2_core.session.worker.remote_stack import RemoteStack
from sam2_core.session.worker.shared_frames import SLOTS, SharedFrames

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


def test_pixels_come_through_shared_memory_while_a_slot_is_free(tmp_path: Path) -> None:
    shared = SharedFrames.create(tmp_path / "frames", (4, 5))
    assert shared is not None
    asked: list[NeedFrame] = []

    def answer(message: NeedFrame) -> None:
        asked.append(message)
        if message.slot is None:
            stack.receive(FramePixels(message.frame, FRAMES[message.frame].tobytes()))
        elif message.frame == 2 and len(asked) == 1:
            stack.receive(FramePixels(2, b"", "the disk is gone", message.slot))
        else:
            shared.frame(message.slot)[:] = FRAMES[message.frame]
            stack.receive(FramePixels(message.frame, b"", slot=message.slot))

    stack = RemoteStack(StackDescription("stack", "t", len(FRAMES), 4, 5), answer, SharedFrames(shared.path, (4, 5)))
    with pytest.raises(InvalidInputError, match="the disk is gone"):
        stack.read(2)
    kept = [stack.read(frame) for frame in (2, 0, 1, 2)]
    # a slot that was used, for an error too, is free again, and what was read is not overwritten
    assert all(message.slot is not None for message in asked)
    for frame, pixels in zip((2, 0, 1, 2), kept, strict=True):
        assert np.array_equal(pixels, FRAMES[frame])


def test_threads_that_ask_for_the_same_frame_each_get_it(tmp_path: Path) -> None:
    shared = SharedFrames.create(tmp_path / "frames", (4, 5))
    assert shared is not None
    count = SLOTS + 2
    asked: list[NeedFrame] = []
    all_asked = threading.Barrier(count + 1)

    def ask(message: NeedFrame) -> None:
        asked.append(message)
        all_asked.wait(60)

    stack = RemoteStack(StackDescription("stack", "t", len(FRAMES), 4, 5), ask, SharedFrames(shared.path, (4, 5)))
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(stack.read(1)), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    all_asked.wait(60)
    assert sorted(message.slot for message in asked if message.slot is not None) == list(range(SLOTS))
    for message in asked:
        if message.slot is None:
            stack.receive(FramePixels(1, FRAMES[1].tobytes()))
        else:
            shared.frame(message.slot)[:] = FRAMES[1]
            stack.receive(FramePixels(1, b"", slot=message.slot))
    for thread in threads:
        thread.join(60)
    assert len(found) == count
    assert all(np.array_equal(one, FRAMES[1]) for one in found)

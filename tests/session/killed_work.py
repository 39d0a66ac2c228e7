"""Work on a session that may be killed at any moment: ``python -m tests.session.killed_work`` forks a worker a line.

A line on the input is ``FOLDER SEED``; on the output come the process's number, and, after each action that was
acknowledged, how many there were.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.export import export_labels
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.volumes.frames import open_frames

FRAMES, SIZE = 12, 32


def frames() -> np.ndarray:
    return np.zeros((FRAMES, SIZE, SIZE), np.uint8)


def actions(session: AnnotationSession, seed: int, exports: Path | None) -> Iterator[None]:
    """Endless work, the same for the same seed; yields after each action that was written."""
    choose = random.Random(seed)

    def mask() -> np.ndarray:
        there = np.zeros((SIZE, SIZE), bool)
        y, x = choose.randrange(SIZE - 4), choose.randrange(SIZE - 4)
        there[y : y + 4, x : x + 3] = True
        return there

    session.add_object()
    yield
    while True:
        one = choose.choice([each.id for each in session.objects])
        frame = choose.randrange(FRAMES)
        what = choose.choice(["add", "click", "click", "paint", "propagate", "undo", "redo", "export"])
        if what == "add":
            session.add_object()
        elif what == "click":
            session.add_points(one, frame, (choose.randrange(SIZE), choose.randrange(SIZE)))
        elif what == "paint":
            session.paint(one, frame, mask())
        elif what == "propagate":
            step = session.begin_results("track")
            for each in range(FRAMES):
                session.add_results(step, each, {one: (MaskPixels.cut(mask()), 0.9, 1.0)}, "track")
                yield
            session.finish_results(step)
        elif what == "undo" and len(session.history) > 1:
            session.undo()
        elif what == "redo" and session.history[-1].is_undone:
            session.redo()
        elif what == "export" and exports is not None:
            for _ in export_labels(session, exports / "labels.tif", overwrite=True):
                pass
        if not session.objects:
            session.add_object()
        yield


def snapshot(session: AnnotationSession) -> object:
    """All that is known."""
    return {
        one.id: (
            one,
            {frame: session.prompt(one.id, frame).points for frame in session.prompted_frames(one.id)},
            {
                frame: (record.source, record.locked, session.mask(one.id, frame).tobytes())
                for frame, record in session.records(one.id).items()
            },
        )
        for one in session.objects
    }


def main() -> None:
    for line in sys.stdin:
        folder, seed = line.rsplit(" ", 1)
        process = os.fork()
        if process:
            print(process, flush=True)
            os.waitpid(process, 0)
            print("end", flush=True)
            continue
        place = Path(folder)
        session = AnnotationSession.create(open_frames(frames()), place / "session")
        for count, _ in enumerate(actions(session, int(seed), place), start=1):
            os.write(1, b"%d\n" % count)


if __name__ == "__main__":
    main()

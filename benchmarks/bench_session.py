"""A session over a long stack with many objects: its memory, and how long undo and redo of a full propagation take.

The propagation's masks are drawn, since what a network takes is measured elsewhere (bench_long_stack.py): round cells
on a grid, 50 through 3,000 frames by default, go into a session frame by frame as a worker's results do. Memory is this
process's, before and after; the file is what the session has on disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
from peak_memory import MIB, Peak

from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.review import ReviewQueue
from sam2_core.volumes.frames import open_frames


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--objects", type=int, default=50)
    parser.add_argument("--side", type=int, default=1024, help="of a frame, in pixels")
    return parser.parse_args()


def disc(radius: int) -> np.ndarray:
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + columns**2 <= radius**2


def found_on(frame: int, ids: list[int], side: int, shape: np.ndarray) -> dict[int, tuple[MaskPixels, float, float]]:
    """Each object's mask: a disc that drifts around its place on a grid."""
    per_row = int(np.ceil(np.sqrt(len(ids))))
    pitch = side // per_row
    found = {}
    for number, object_id in enumerate(ids):
        x = number % per_row * pitch + (pitch - len(shape)) * (1 + np.sin(frame / 40 + number)) / 2
        y = number // per_row * pitch + (pitch - len(shape)) * (1 + np.cos(frame / 55 + number)) / 2
        found[object_id] = (MaskPixels.cut(shape, (int(y), int(x))), 0.9, 5.0)
    return found


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    options = arguments()
    frames = np.broadcast_to(np.uint8(0), (options.frames, options.side, options.side))
    radius = options.side // int(np.ceil(np.sqrt(options.objects))) // 4
    peak = Peak()
    with tempfile.TemporaryDirectory() as folder:
        session = AnnotationSession.create(open_frames(frames), Path(folder) / "session")
        ids = [session.add_object().id for _ in range(options.objects)]
        before = peak.now()
        peak.restart()
        step = session.begin_results("track")
        seconds_in, _ = timed(
            lambda: [
                session.add_results(step, frame, found_on(frame, ids, options.side, disc(radius)), "track")
                for frame in range(options.frames)
            ]
        )
        session.finish_results(step)
        written = peak.now() - before
        seconds_undo, _ = timed(session.undo)
        seconds_redo, _ = timed(session.redo)
        seconds_labels, labels = timed(lambda: session.labels(options.frames // 2))
        assert len(np.unique(labels)) == options.objects + 1
        seconds_review, _ = timed(lambda: ReviewQueue(session).ranked(20))
        session.lock(ids[0], options.frames // 2)
        seconds_again, _ = timed(lambda: ReviewQueue(session).ranked(20))
        session.close()
        size = sum(file.stat().st_size for file in (Path(folder) / "session").iterdir())
        seconds_open, _ = timed(lambda: AnnotationSession.open(Path(folder) / "session", open_frames(frames)).close())
    peak.close()
    row = {
        "milliseconds a frame to take in": round(seconds_in / options.frames * 1e3, 1),
        "undo seconds": round(seconds_undo, 2),
        "redo seconds": round(seconds_redo, 2),
        "labels milliseconds": round(seconds_labels * 1e3, 1),
        "review seconds": round(seconds_review, 2),
        "after one change": round(seconds_again, 3),
        "open seconds": round(seconds_open, 2),
        "memory MiB": round(written / MIB),
        "largest memory MiB": round((peak.greatest - before) / MIB),
        "file MiB": round(size / MIB),
    }
    notes = {"frames": options.frames, "objects": options.objects, "frame": f"{options.side} x {options.side}"}
    record.save("session", "A session over a long stack", [row], notes)


if __name__ == "__main__":
    main()

"""``kill -9`` at any moment of prompting, propagating, saving and exporting: what was acknowledged is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.volumes.frames import open_frames
from tests.session.killed_work import actions, frames, snapshot

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork, for many short-lived processes")


def states(seed: int, count: int) -> list[object]:
    """What a session holds after each of so many actions, when nothing is killed."""
    with AnnotationSession.create(open_frames(frames())) as session:
        found: list[object] = [{}]
        for _, _ in zip(range(count), actions(session, seed, None), strict=False):
            found.append(snapshot(session))
    return found


def killed(repository: Path, folder: Path, count: int) -> int:
    """Kill sessions at random, and look at what is left; returns how many actions had been acknowledged in all."""
    choose = random.Random(0)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.session.killed_work"],
        cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    acknowledged = 0
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        for seed in range(count):
            place = folder / str(seed)
            place.mkdir()
            server.stdin.write(f"{place} {seed}\n")
            server.stdin.flush()
            process = int(server.stdout.readline())
            after = choose.randrange(1, 30)
            last = 0
            for line in iter(server.stdout.readline, "end\n"):
                last = int(line)
                if last == after:
                    # some time later, which may be in the middle of a write
                    threading.Timer(choose.uniform(0, 0.02), os.kill, (process, signal.SIGKILL)).start()
            acknowledged += last
            with AnnotationSession.open(place / "session", open_frames(frames())) as session:
                left = snapshot(session)
                assert all(step.is_finished for step in session.history)
                while any(not step.is_undone for step in session.history):
                    session.undo()
                assert snapshot(session) == {}
            # what was being written when it was killed may be there too
            assert left in states(seed, last + 1)[last:]
    finally:
        server.stdin.close()
        server.stdout.close()
        server.wait()
    return acknowledged


def test_20_kills_lose_nothing(repository: Path, tmp_path: Path) -> None:
    assert killed(repository, tmp_path, 20) >= 20


@pytest.mark.soak
def test_200_kills_lose_nothing(repository: Path, tmp_path: Path) -> None:
    assert killed(repository, tmp_path, 200) >= 200

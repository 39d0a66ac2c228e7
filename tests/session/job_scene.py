"""A session over a small stack with a small network, and ways to hold its worker up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.volumes.frames import open_frames
from tests.inference.video_scene import small_predictor, stack

PATIENCE = 120.0


class Gate:
    """Holds a predictor up before each image it encodes, until it is told to go on."""

    def __init__(self, predictor: SAM2VideoPredictor) -> None:
        self.is_open = threading.Event()
        self.is_open.set()
        self.arrived = threading.Semaphore(0)
        self.encoded = 0
        self.error: Exception | None = None
        self._predictor = predictor
        real = type(predictor).forward_image

        def forward_image(*args: Any, **kwargs: Any) -> Any:
            self.arrived.release()
            assert self.is_open.wait(PATIENCE)
            if self.error is not None:
                raise self.error
            self.encoded += 1
            return real(predictor, *args, **kwargs)

        predictor.forward_image = forward_image  # type: ignore[method-assign]

    def close(self) -> None:
        """Hold up the next image."""
        while self.arrived.acquire(blocking=False):
            pass
        self.is_open.clear()

    def wait_for_arrival(self) -> None:
        """Wait until the predictor stands before the gate."""
        assert self.arrived.acquire(timeout=PATIENCE)

    def open(self) -> None:
        """Let it go on."""
        self.is_open.set()

    def remove(self) -> None:
        """Take the gate away."""
        self.open()
        del self._predictor.forward_image


@cache
def predictor() -> SAM2VideoPredictor:
    """The one network of these tests; building it takes longer than most of them."""
    return small_predictor()


def frames(count: int = 6) -> np.ndarray:
    """(T, H, W, RGB) uint8."""
    return stack(count)


def new_session(folder: Any = None, *, count: int = 6, **options: Any) -> AnnotationSession:
    """A session over a small stack."""
    options.setdefault("model", predictor())
    return AnnotationSession.create(open_frames(frames(count)), folder, **options)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)

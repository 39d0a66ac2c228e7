"""The worker as a process of its own: ``python -m sam2_core.session.worker.process`` speaks on its input and output.

What comes and goes is written by :mod:`~sam2_core.session.worker.codec`; so a worker may be at the other end of any
pipe, such as that of ``ssh``. Whatever libraries print goes to the error output.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sam2_core.errors import WorkerError
from sam2_core.session.worker.codec import read_message, write_message
from sam2_core.session.worker.messages import PROTOCOL, Alive, FramePixels, FromWorker, Open, ToWorker
from sam2_core.session.worker.remote_stack import RemoteStack
from sam2_core.session.worker.shared_frames import SharedFrames

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.session.worker.inference_worker import InferenceWorker

HEARTBEAT_SECONDS = 0.5


class WorkerProcess:
    """One worker between two streams.

    Parameters
    ----------
    source, sink : file
        Binary; messages come from the one and go to the other.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._writing = threading.Lock()
        self._early: list[ToWorker] = []
        self._delivering = threading.Lock()
        self._worker: InferenceWorker | None = None

    def run(self) -> None:
        """Work until told to stop, or until the other side is gone."""
        from sam2_core.session.worker.inference_worker import InferenceWorker, WorkerOptions, failure_of

        try:
            opening = _checked_opening(read_message(self._source))
            self._stack = RemoteStack(opening.stack, self.send, _shared_frames(opening))
            threading.Thread(target=self._listen, name="sam2-listen", daemon=True).start()
            threading.Thread(target=self._tell_alive, name="sam2-heartbeat", daemon=True).start()
            worker = InferenceWorker(_predictor(opening), self._stack, self.send, WorkerOptions(**opening.options))
        except Exception as error:  # told to everybody who waits for the worker
            self.send(failure_of(None, error))
            return
        with self._delivering:
            self._worker = worker
            for message in self._early:
                worker.receive(message)
        worker.run()

    def send(self, message: FromWorker) -> None:
        """Send a report."""
        with self._writing:
            write_message(self._sink, message)

    def _listen(self) -> None:
        while (message := read_message(self._source)) is not None:
            if isinstance(message, FramePixels):
                self._stack.receive(message)
                continue
            with self._delivering:
                if self._worker is None:
                    self._early.append(message)
                else:
                    self._worker.receive(message)
        # the session is gone, maybe killed: whatever is computed now is for nobody
        os._exit(0)

    def _tell_alive(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_SECONDS):
            self.send(Alive(0.0 if self._worker is None else self._worker.busy_for))


def _checked_opening(message: object) -> Open:
    if not isinstance(message, Open) or message.protocol != PROTOCOL:
        raise WorkerError(
            f"This worker speaks protocol {PROTOCOL}; the session began with {message!r:.100}. Install the same "
            "version of sam2-lab on both sides."
        )
    return message


def _shared_frames(opening: Open) -> SharedFrames | None:
    if not opening.shared_frames:
        return None
    try:
        return SharedFrames(Path(opening.shared_frames), (opening.stack.height, opening.stack.width))
    except OSError:  # the session is on another machine
        return None


def _predictor(opening: Open) -> SAM2VideoPredictor:
    from sam2_core.session.worker.model_choice import opened_predictor

    if opening.is_pickled:
        import torch

        # written by the session that started this process, into a folder that only its user can write to
        return opened_predictor(torch.load(opening.model, weights_only=False))
    return opened_predictor(opening.model, opening.options.get("device"))


def main() -> None:
    """Speak on the standard input and output."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(sys.stderr.fileno(), 1)
    WorkerProcess(source, sink).run()


if __name__ == "__main__":
    main()

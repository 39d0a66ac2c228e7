"""A worker in a process of its own, watched over: one that crashes or hangs is noticed, ended, and told of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from sam2_core.errors import WorkerError
from sam2_core.session.worker.codec import framed, read_message
from sam2_core.session.worker.messages import (
    PROTOCOL,
    Alive,
    Failed,
    FramePixels,
    FromWorker,
    NeedFrame,
    Open,
    Ready,
    StackDescription,
    Stop,
    ToWorker,
)
from sam2_core.session.worker.shared_frames import SharedFrames

if TYPE_CHECKING:
    from sam2_core.session.worker.model_choice import ModelChoice
    from sam2_core.volumes.frame_stack import FrameStack

#: Seconds that one piece of work may take before the worker counts as hung.
PATIENCE = 120.0
#: Seconds that loading the model may take.
START_PATIENCE = 900.0
#: Seconds to wait for the process to end by itself.
CLOSING_PATIENCE = 2.0
WATCH_SECONDS = 0.25
KEPT_LINES = 40


class ProcessLink:
    """Starts a worker process and speaks with it through its input and output.

    Parameters
    ----------
    model : SAM2VideoPredictor, str or path
        One that is loaded already is written to a file for the process.
    stack : FrameStack
        Its frames are read here, when the worker asks for them: whatever the stack is, nothing has to be opened twice.
        They go through memory that both processes see, where there is room for it, or else through the pipe.
    hear : callable
        Takes the worker's reports, in a thread of this link.
    lost : callable
        Told why, once, if the worker crashes or hangs; the last that is heard of it. The flag says whether it hung.
    options : dict
        See :class:`~sam2_core.session.worker.inference_worker.WorkerOptions`.
    patience : float
        Seconds that one piece of work may take.
    """

    is_inline = False

    def __init__(
        self,
        model: ModelChoice,
        stack: FrameStack,
        hear: Callable[[FromWorker], object],
        lost: Callable[[WorkerError, bool], object],
        *,
        options: dict[str, Any],
        patience: float = PATIENCE,
    ) -> None:
        self._stack = stack
        self._hear = hear
        self._lost = lost
        self._patience = patience
        self._folder = tempfile.TemporaryDirectory(prefix="sam2-worker-", ignore_cleanup_errors=True)
        self._is_closing = False
        self._is_ready = False
        self._is_over = threading.Event()
        self._hung = ""
        self._busy_since = self._heard = time.monotonic()
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._wanted: SimpleQueue[NeedFrame | None] = SimpleQueue()
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._shared = SharedFrames.create(Path(self._folder.name) / "frames", stack.frame_size)
        opening = self._opening(model, options)
        # not multiprocessing, which would run the caller's script again to get there
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sam2_core.session.worker.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        self._outbox.put(framed(opening))
        self._threads = [
            threading.Thread(target=work, name=f"sam2-worker-{work.__name__.strip('_')}", daemon=True)
            for work in (self._send_all, self._serve_frames, self._read_errors, self._watch, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def process_id(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, message: ToWorker) -> None:
        """See :class:`~sam2_core.session.worker.link.Link`."""
        # here, where what is no message can be told to who sends it
        self._outbox.put(framed(message))

    def pump(self) -> bool:
        """See :class:`~sam2_core.session.worker.link.Link`."""
        return False

    def close(self) -> None:
        """End the process; what it is computing is not waited for."""
        self._is_closing = True
        self.send(Stop())
        try:
            self._process.wait(CLOSING_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._let_go()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(CLOSING_PATIENCE)

    def _let_go(self) -> None:
        self._outbox.put(None)
        self._wanted.put(None)
        self._folder.cleanup()

    def _opening(self, model: ModelChoice, options: dict[str, Any]) -> Open:
        height, width = self._stack.frame_size
        stack = StackDescription(self._stack.name, self._stack.axis, len(self._stack), height, width)
        shared = str(self._shared.path) if self._shared is not None else ""
        if isinstance(model, str | os.PathLike):
            return Open(PROTOCOL, os.fspath(model), False, stack, options, shared)
        import torch

        path = Path(self._folder.name) / "model.pt"
        torch.save(model, path)
        return Open(PROTOCOL, str(path), True, stack, options, shared)

    def _send_all(self) -> None:
        assert self._process.stdin is not None
        # the process may be gone; the one that listens to it says so
        with suppress(OSError), self._process.stdin as stream:
            while (data := self._outbox.get()) is not None:
                stream.write(data)
                stream.flush()

    def _serve_frames(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            frame, slot = wanted.frame, wanted.slot
            try:
                pixels = self._stack.read(frame)
                if self._shared is not None and slot is not None:
                    self._shared.frame(slot)[:] = pixels
                    self.send(FramePixels(frame, b"", slot=slot))
                else:
                    self.send(FramePixels(frame, pixels.tobytes()))
            except Exception as error:  # told to the job that wants the frame
                self.send(FramePixels(frame, b"", f"Frame {frame} cannot be read: {error}", slot))
        if self._shared is not None:
            self._shared.close()
            # once more: where a mapped file cannot be deleted the first time left it
            self._folder.cleanup()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._last_lines.append(line.decode(errors="replace").rstrip())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        problem = ""
        with self._process.stdout as stream:
            try:
                while (message := read_message(stream)) is not None:  # type: ignore[arg-type]  # it is binary
                    self._take_safely(message)
            except WorkerError as error:
                problem = str(error)
                self._process.kill()
        self._process.wait()
        self._is_over.set()
        self._let_go()
        if not self._is_closing:
            self._lost(self._what_happened(problem), bool(self._hung))

    def _take_safely(self, message: FromWorker) -> None:
        try:
            self._take(message)
        except Exception:  # of a listener; told as of any thread, which must not end: jobs would be waited for in vain
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))

    def _take(self, message: FromWorker) -> None:
        self._heard = time.monotonic()
        if isinstance(message, Alive):
            self._busy_since = self._heard - message.busy_for
        elif isinstance(message, NeedFrame):
            self._wanted.put(message)
        else:
            if isinstance(message, Ready):
                self._is_ready = True
                if self._shared is not None:
                    self._shared.forget_name()
            self._is_closing = self._is_closing or (isinstance(message, Failed) and message.job is None)
            self._hear(message)

    def _watch(self) -> None:
        while not self._is_over.wait(WATCH_SECONDS):
            patience = self._patience if self._is_ready else START_PATIENCE
            now = time.monotonic()
            silent, busy = now - self._heard, now - self._busy_since
            if max(silent, busy) > patience and not self._is_closing:
                self._hung = (
                    f"was on one piece of work for {busy:.0f} seconds" if busy > patience else "did not answer any more"
                )
                self._process.kill()
                return

    def _what_happened(self, problem: str) -> WorkerError:
        code = self._process.returncode
        if self._hung:
            what = f"The worker {self._hung}, and was ended."
        elif problem:
            what = f"The worker sent nonsense, and was ended: {problem}"
        elif code < 0:
            name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else str(-code)
            why = " Most likely the system had no memory left." if name == "SIGKILL" else ""
            what = f"The worker's process was ended by {name}.{why}"
        else:
            what = f"The worker's process ended by itself (exit status {code})."
        error = WorkerError(what)
        if self._last_lines:
            error.add_note("Its last words:\n" + "\n".join(self._last_lines))
        return error

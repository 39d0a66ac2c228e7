"""The annotation session: one stack, its objects, their prompts and masks, in a folder that survives anything."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from filelock import FileLock, Timeout
from psygnal import Signal

from sam2_core.closing import Closing
from sam2_core.errors import InvalidInputError, MissingFileError, StateError
from sam2_core.session.job_runner import JobRunner
from sam2_core.session.job_starting import JobStarting, WorkerKind
from sam2_core.session.journal import FORMAT, GRID_FORMAT, Journal
from sam2_core.session.mask_comparing import MaskComparing
from sam2_core.session.mask_editing import MaskEditing
from sam2_core.session.mask_facts import MaskFacts
from sam2_core.session.mask_finding import MaskFinding
from sam2_core.session.prompt_context import SessionPromptContext
from sam2_core.session.prompt_editing import PromptEditing
from sam2_core.session.session_news import SessionNews
from sam2_core.session.worker.link import Hear, InlineLink, Link, ThreadLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from sam2_core.errors import WorkerError
    from sam2_core.session.worker.inference_worker import InferenceWorker
    from sam2_core.session.worker.model_choice import ModelChoice
    from sam2_core.volumes.frame_grid import FrameGrid
    from sam2_core.volumes.frame_stack import FrameStack

JOURNAL_NAME: Final = "session.db"
LOCK_NAME: Final = "session.lock"


class AnnotationSession(MaskFinding, PromptEditing, MaskEditing, MaskComparing, JobStarting, Closing):
    """Objects in a stack, as a person, a script or a front-end works on them.

    Everything that is done is written before it is shown, can be undone, and is there when the session is opened again,
    whatever ended the process. Masks of different objects may overlap; :meth:`labels` is a view of them.

    Use :meth:`create` or :meth:`open` to make one.

    Parameters
    ----------
    stack : FrameStack
        The frames.
    journal : Journal
        What is known.
    folder : Path
        Where it is kept.
    lock : FileLock, optional
        Held as long as the session is open for writing.
    model : SAM2VideoPredictor, str or path, optional
        What segments and tracks.
    worker : {"thread", "process"}, optional
        Where.
    temporary : bool
        Whether the folder goes when the session is closed.
    """

    #: Emitted with the new model after :meth:`use_model`, in the thread that called it.
    model_changed = Signal(object)
    #: Emitted with a sentence, in a thread of the worker's, once memory ran out on a GPU and the model is on the CPU.
    fell_back = Signal(str)

    def __init__(
        self,
        stack: FrameStack,
        journal: Journal,
        *,
        folder: Path,
        lock: FileLock | None,
        model: ModelChoice | None = None,
        worker: WorkerKind | None = None,
        temporary: bool = False,
    ) -> None:
        super().__init__(journal, frame_count=len(stack), frame_size=stack.frame_size)
        self.stack = stack
        self.folder = folder
        self._file_lock = lock
        self._is_temporary = temporary
        self._model = model
        #: What the review queue knows of each mask.
        self.mask_facts = MaskFacts(self)
        self._runner = JobRunner(self, self._new_link, is_inline=worker is None)
        self._worker_kind = worker
        self._news = SessionNews(self)
        #: See :class:`~sam2_core.session.worker.inference_worker.WorkerOptions`; they hold for the next worker.
        self.worker_options: dict[str, Any] = {}
        #: Seconds that a worker process may take for one piece of work; one that takes longer is ended and replaced.
        self.worker_patience = 120.0

    @classmethod
    def create(
        cls,
        stack: FrameStack,
        folder: Path | str | None = None,
        *,
        model: ModelChoice | None = None,
        worker: WorkerKind | None = None,
    ) -> Self:
        """Begin a session.

        Parameters
        ----------
        stack : FrameStack
            From :func:`sam2_core.open_frames` or ``volume.stack(...)``.
        folder : path, optional
            Where to keep it, new or empty; by default a temporary folder that goes when the session is closed.
        model : SAM2VideoPredictor, str or path, optional
            What segments and tracks: a predictor, a model's name in the catalogue, or its weights. Without one a
            session takes prompts and hand-made masks only.
        worker : {"thread", "process"}, optional
            Where the model works: in a thread, or in a process of its own, beside which the caller goes on; or, by
            default, in the thread that asks, which waits for it.

        Raises
        ------
        InvalidInputError
            There is something in the folder already.
        """
        is_temporary = folder is None
        place = Path(tempfile.mkdtemp(prefix="sam2-session-")) if folder is None else Path(folder)
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            what = (
                "holds a session; open it with AnnotationSession.open"
                if (place / JOURNAL_NAME).exists()
                else "is not empty"
            )
            raise InvalidInputError(f"{place} {what}. A new session needs a new or empty folder.")
        place.mkdir(parents=True, exist_ok=True)
        lock = _locked(place)
        try:
            journal = Journal(place / JOURNAL_NAME, file_format=FORMAT if stack.grid is None else GRID_FORMAT)
            journal.set_about("stack", json.dumps(_description(stack)))
        except BaseException:
            lock.release()
            raise
        return cls(stack, journal, folder=place, lock=lock, model=model, worker=worker, temporary=is_temporary)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        stack: FrameStack,
        *,
        model: ModelChoice | None = None,
        worker: WorkerKind | None = None,
        read_only: bool = False,
    ) -> Self:
        """Go on with a session.

        Parameters
        ----------
        folder : path
            That of the session.
        stack : FrameStack
            The same frames as before.
        model : SAM2VideoPredictor, str or path, optional
            What segments and tracks.
        worker : {"thread", "process"}, optional
            Where the model works: in a thread, or in a process of its own, beside which the caller goes on; or, by
            default, in the thread that asks, which waits for it.
        read_only : bool
            Look at it only; possible while another process works on it.

        Raises
        ------
        MissingFileError
            There is no session in the folder.
        StateError
            Another process has it open, and not `read_only`.
        InvalidInputError
            The stack has another size or number of frames than the session's, or the session is damaged.
        """
        place = Path(folder)
        if not (place / JOURNAL_NAME).is_file():
            raise MissingFileError(f"There is no session in {place}: no file {JOURNAL_NAME} is there.")
        lock = None if read_only else _locked(place)
        journal = None
        try:
            journal = Journal(place / JOURNAL_NAME, read_only=read_only)
            _require_same_stack(json.loads(journal.about("stack") or "{}"), stack)
            if not read_only:
                # what was going on when the process ended stays as far as it had come
                journal.finish_all()
        except BaseException:
            # Windows deletes and moves no folder with an open file
            if journal is not None:
                journal.close()
            if lock is not None:
                lock.release()
            raise
        return cls(stack, journal, folder=place, lock=lock, model=model, worker=worker)

    def close(self) -> None:
        """Cancel all jobs and let go of the session; everything is written already.

        All calls but this one raise a StateError from then on.
        """
        if self._runner.is_closed:
            return
        # from the last to the first, each whatever becomes of the others
        with ExitStack() as todo:
            if self._is_temporary:
                todo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            if self._file_lock is not None:
                todo.callback(self._file_lock.release)
            todo.callback(self._journal.close)
            todo.callback(self._news.close)
            todo.callback(self._runner.close)

    @property
    def grid(self) -> FrameGrid | None:
        """How the frames of a stack along two axes are numbered; None for a stack along one."""
        return self.stack.grid

    def frame_at(self, **positions: int) -> int:
        """The frame at a position, such as ``frame_at(t=3, z=10)``.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Other axes than the stack's, or a position outside it.
        """
        if self.stack.grid is not None:
            return self.stack.grid.frame(positions)
        if set(positions) != {self.stack.axis}:
            raise InvalidInputError(f"A frame of this stack has a position on {self.stack.axis}; got {positions}.")
        return self.checked_frame(positions[self.stack.axis])

    def position(self, frame: int) -> dict[str, int]:
        """Where a frame lies on the stack's axes, such as ``{"t": 3, "z": 10}``."""
        frame = self.checked_frame(frame)
        return {self.stack.axis: frame} if self.stack.grid is None else self.stack.grid.position(frame)

    @property
    def runner(self) -> JobRunner:
        """What runs the jobs."""
        return self._runner

    @property
    def can_segment(self) -> bool:
        """Whether there is a model, and the session may be changed."""
        return self._model is not None and not self.read_only

    @property
    def model(self) -> ModelChoice | None:
        """What segments and tracks."""
        return self._model

    def use_model(self, model: ModelChoice) -> None:
        """Segment and track with another model from now on; what is going on is begun again with it.

        Masks that are there stay as they are.

        Parameters
        ----------
        model : SAM2VideoPredictor, str or path
            As for :meth:`create`.

        Raises
        ------
        UnknownModelError, MissingFileError, CheckpointError, ConfigError
            There is no such model, or it is damaged.
        StateError
            The session is open for reading only or closed, or this is called by what listens to its events.
        """
        if self.read_only:
            raise StateError("The session is open for reading only; nothing is segmented here.")
        if isinstance(model, str | os.PathLike):
            from sam2_core.checkpoints.build import model_config

            model_config(model)
        before, self._model = self._model, model
        try:
            self._runner.replace_worker()
        except BaseException:
            self._model = before
            raise
        self.model_changed.emit(model)

    def _whole(self) -> AnnotationSession:
        return self

    def share_embeddings(self, folder: Path | str | None = None) -> None:
        """Keep what the encoder finds on disk, where the command line and other sessions find it too.

        It holds for the next worker: call it before the first click. Features are rounded to the store's dtype then, as
        ``sam2 track`` does.

        Parameters
        ----------
        folder : path, optional
            Of another embedding store than the one that all programs share, see
            :func:`sam2_core.volumes.embedding_store.embeddings_folder`.

        Raises
        ------
        StateError
            The session is closed.
        """
        self._runner.require_open()
        from sam2_core.volumes.embedding_store import embeddings_folder

        self.worker_options["embeddings"] = str(embeddings_folder() if folder is None else folder)

    def _falls_back(self) -> bool:
        """Have the next worker compute on the CPU; False if it does already, or somebody else holds the model."""
        if not isinstance(self._model, str | os.PathLike) or self.worker_options.get("device") == "cpu":
            return False
        self.worker_options["device"] = "cpu"
        return True

    def _prompt_context(self, object_id: int | None, frame: int) -> SessionPromptContext:
        return SessionPromptContext(self, object_id, frame)

    def _new_link(self, hear: Hear, lost: Callable[[WorkerError, bool], None]) -> Link:
        if self._worker_kind == "process":
            from sam2_core.session.worker.process_link import ProcessLink

            assert self._model is not None
            return ProcessLink(
                self._model, self.stack, hear, lost, options=self.worker_options, patience=self.worker_patience
            )
        return (InlineLink if self._worker_kind is None else ThreadLink)(self._new_worker, hear)

    def _new_worker(self, hear: Hear) -> InferenceWorker:
        # the network takes seconds to import; who only looks at a session need not wait for it
        from sam2_core.session.worker.inference_worker import InferenceWorker, WorkerOptions
        from sam2_core.session.worker.model_choice import opened_predictor

        assert self._model is not None
        options = WorkerOptions(**{"measures": self._worker_kind is not None, **self.worker_options})
        return InferenceWorker(opened_predictor(self._model, options.device), self.stack, hear, options)

    def __repr__(self) -> str:
        state = "closed" if self._runner.is_closed else f"{len(self.objects)} objects"
        return f"<AnnotationSession of {self.stack.name!r}, {state}, in {self.folder}>"


def _locked(folder: Path) -> FileLock:
    # it may be let go by another thread than took it
    lock = FileLock(folder / LOCK_NAME, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StateError(
            f"Another process has the session in {folder} open. Close it there, or open it here with read_only=True."
        ) from None
    return lock


def _description(stack: FrameStack) -> dict[str, object]:
    described: dict[str, object] = {
        "name": stack.name,
        "axis": stack.axis,
        "frames": len(stack),
        "height": stack.frame_size[0],
        "width": stack.frame_size[1],
    }
    if stack.grid is not None:
        described["sizes"] = list(stack.grid.sizes)
    return described


def _require_same_stack(known: dict[str, object], stack: FrameStack) -> None:
    given = _description(stack)
    names = ("axis", "frames", "sizes", "height", "width")
    differing = [name for name in names if known.get(name) != given.get(name)]
    if differing:
        said = ", ".join(f"{name} {known.get(name)} then and {given.get(name)} now" for name in differing)
        raise InvalidInputError(f"This is another stack than the session's {known.get('name')!r}: {said}.")

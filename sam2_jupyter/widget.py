"""AnnotationWidget: an annotation session shown in a notebook."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray
from psygnal import Signal

from sam2_core.errors import InvalidInputError, Sam2Error
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.items import Change, SessionPrompt
from sam2_core.session.job import ENDED, Job
from sam2_core.session.session_state import Priority
from sam2_core.session.training_record import TrainingRecord
from sam2_jupyter import session_summary as summary
from sam2_jupyter.frame_tiles import FrameTiles, TilePlace, checked_limits
from sam2_jupyter.operations import perform
from sam2_jupyter.positions import Positions
from sam2_jupyter.protocol import Payload, Request, described_error, event, read_text, read_whole
from sam2_jupyter.tile_thread import TileThread
from sam2_jupyter.training import DEFAULT_BUDGET, latest_training, recipes, training_told

STATIC: Final = Path(__file__).parent / "static"
#: Seconds between two reports of a job's progress.
JOB_REPORT_SECONDS: Final = 0.1
#: And between two of how a training goes.
TRAINING_REPORT_SECONDS: Final = 0.25
#: Bytes of labels that are put into one array at most.
MOST_LABEL_BYTES: Final = 2 * 2**30
_log = logging.getLogger("sam2_jupyter")


class AnnotationWidget(anywidget.AnyWidget):
    """A session in a notebook: the image with its objects, tools to mark them, and what to do with them.

    Everything is done in `session`; what is changed there from Python is shown at once, and the other way round. Use
    :func:`sam2_jupyter.annotate` to make one.

    Parameters
    ----------
    session : AnnotationSession
        With a worker of its own ("thread" or "process"), or the notebook waits for every answer.
    owns_session : bool
        Whether closing the widget closes the session.
    positions : Positions, optional
        Where `session` is one of several, along another axis; closing the widget closes them.
    **values
        Initial values of the attributes below.

    Attributes
    ----------
    frame : int
        Shown.
    selected : int
        Id of the chosen object; 0 if the next prompt makes a new one.
    tool : str
        Name of the prompt type in use.
    positive : bool
        Whether drawings say "this belongs to the object", or "this does not".
    opacity : float
        Of masks, 0 to 1.
    hidden : list of int
        Objects that are not shown.
    contrast : list of (float, float)
        Intensities shown as black and white for each channel; empty for what the model sees.
    channels : list of bool
        Which channels are shown; empty for all.
    tool_options : dict
        Options by prompt type.
    height : int
        Of the image, in CSS pixels.
    key_map : dict of str to str or None
        Changes to the keys: an action's name and its key, such as ``{"segment": "Shift+G"}``.
    """

    _esm = STATIC / "widget.js"
    _css = STATIC / "widget.css"

    frame = traitlets.Int(0).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)
    tool = traitlets.Unicode("point").tag(sync=True)
    positive = traitlets.Bool(True).tag(sync=True)
    opacity = traitlets.Float(0.6, min=0.0, max=1.0).tag(sync=True)
    hidden = traitlets.List(traitlets.Int()).tag(sync=True)
    contrast: traitlets.List[Any] = traitlets.List().tag(sync=True)
    channels = traitlets.List(traitlets.Bool()).tag(sync=True)
    tool_options = traitlets.Dict().tag(sync=True)
    height = traitlets.Int(460, min=120, max=4000).tag(sync=True)
    key_map = traitlets.Dict().tag(sync=True)

    #: Emitted with a :class:`~sam2_core.session.items.Change` after each change, in the thread that made it.
    changed = Signal(Change)

    def __init__(
        self,
        session: AnnotationSession,
        *,
        owns_session: bool = False,
        positions: Positions | None = None,
        **values: Any,
    ) -> None:
        self._session = session
        self._owns_session = owns_session
        self._positions = positions
        self._seq = 0
        self._counter_lock = threading.Lock()
        self._sending = threading.Lock()
        self._reported: dict[int, tuple[str, float]] = {}
        # job, number of previews told, and when
        self._training_told = (0, 0, 0.0)
        self._tiles = FrameTiles(session.stack)
        self._tile_thread = TileThread()
        super().__init__(**values)
        self._follow()
        self.on_msg(self._received)
        self.observe(self._frame_chosen, "frame")

    # For Python

    def __repr__(self) -> str:
        """What is read in place of the widget where none can be shown, as in a saved notebook on a web page."""
        return f"<AnnotationWidget of {self._session.stack.name} in {self._session.folder}: run the cell to see it>"

    @property
    def session(self) -> AnnotationSession:
        """What is worked on."""
        return self._session

    @property
    def masks(self) -> dict[int, NDArray[np.bool_]]:
        """The masks on the frame that is shown, by object: (y, x) bool."""
        return {one: self._session.mask(one, self.frame) for one in self._session.records_on(self.frame)}

    @property
    def prompts(self) -> dict[int, dict[int, SessionPrompt]]:
        """What was said, by object and frame."""
        session = self._session
        return {
            one.id: {frame: session.prompt(one.id, frame) for frame in session.prompted_frames(one.id)}
            for one in session.objects
        }

    def to_labels(
        self, frames: Sequence[int] | None = None, *, priority: Priority | Sequence[int] = "surest"
    ) -> NDArray[np.int32]:
        """The objects as labels.

        Parameters
        ----------
        frames : sequence of int, optional
            All by default.
        priority : str or sequence of int
            Who gets a pixel that several objects cover, see
            :meth:`~sam2_core.session.annotation_session.AnnotationSession.labels`.

        Returns
        -------
        ndarray (frame, y, x) int32
            0 is background, else the object's id.

        Raises
        ------
        InvalidInputError
            There is no such frame, or the labels would take more than 2 GiB of memory.
        """
        session = self._session
        chosen = range(session.frame_count) if frames is None else [session.checked_frame(one) for one in frames]
        size = len(chosen) * session.frame_size[0] * session.frame_size[1] * 4
        if size > MOST_LABEL_BYTES:
            raise InvalidInputError(
                f"These labels would take {size / 2**30:.1f} GiB of memory. Name some frames, or write them to a file: "
                'widget.session.start_export("labels.zarr").'
            )
        labels = np.zeros((len(chosen), *session.frame_size), np.int32)
        for place, frame in enumerate(chosen):
            labels[place] = session.labels(frame, priority=priority)
        return labels

    def close(self) -> None:
        """Close the widget, and the session if it belongs to it; everything is written already."""
        self._unfollow()
        self._tile_thread.close()
        if self._positions is not None:
            self._positions.close()
        elif self._owns_session:
            self._session.close()
        super().close()

    def move(self, axis: str, position: int) -> None:
        """Go to another position on an axis that the session does not follow; `session` is another one then.

        Parameters
        ----------
        axis : str
        position : int

        Raises
        ------
        StateError
            Something is going on in the session.
        InvalidInputError, InvalidTypeError
            There is no such axis or position.
        """
        if self._positions is None:
            raise InvalidInputError(f"There is no axis {axis!r} to move along: this is one session of one stack.")
        before = self._session
        self._unfollow()
        try:
            self._session = self._positions.move(axis, position)
        finally:
            self._follow()
        if self._session is not before:
            self._tiles = FrameTiles(self._session.stack)
            self._reported.clear()
            self._session.current_frame = self.frame
            # those were objects of the other session
            self.selected, self.hidden = 0, []
            with self._counter_lock:
                self._seq += 1
            self._tell(event("session", {}, self._seq))

    # What the browser asks

    def _received(self, _widget: object, content: object, _buffers: object) -> None:
        """Answer a message; in the thread in which it comes, which need not be the one that runs cells."""
        try:
            request = Request.read(content)
        except Sam2Error as error:
            self._refuse(content, error)
            return
        if request.kind == "cancel":
            if self._tile_thread.drop((request.view, request.id)):
                self._tell(request.cancelled())
        elif request.kind == "tile":
            self._tile_thread.put((request.view, request.id), lambda: self._answer(request))
        else:
            self._answer(request)

    def _refuse(self, content: object, error: Sam2Error) -> None:
        """Tell a view whose message makes no sense; all of them if it does not say which view it is."""
        view, number = (content.get("view"), content.get("id")) if isinstance(content, dict) else (None, None)
        if isinstance(view, str) and isinstance(number, int):
            self._tell(Request(view, number, "", {}).failed(error))
        else:
            self._tell(event("message", described_error(error), self._seq))

    def _answer(self, request: Request) -> None:
        try:
            payload, buffers = self._result(request)
        except Exception as error:  # it is told to whoever asked
            if not isinstance(error, Sam2Error):
                _log.exception("The request %r failed", request.kind)
            self._tell(request.failed(error))
        else:
            self._tell(request.ok(payload), buffers)

    def _result(self, request: Request) -> tuple[Payload, list[bytes]]:
        session, seq = self._session, self._seq
        if request.kind == "hello":
            about = summary.about(session, self._tiles)
            if session.can_segment:
                about |= {"recipes": recipes(), "budget": DEFAULT_BUDGET}
            if self._positions is not None:
                about["positions"] = self._positions.describe()
            return {"about": about, "state": summary.state(session, self.selected, self.frame), "seq": seq}, []
        if request.kind == "state":
            selected, frame = (read_whole(request.payload, name) for name in ("selected", "frame"))
            return {"state": summary.state(session, selected, session.checked_frame(frame)), "seq": seq}, []
        if request.kind == "frame":
            frame = session.checked_frame(read_whole(request.payload, "frame"))
            masks, data = summary.masks_on(session, frame, seq)
            return {"masks": masks, "prompts": summary.prompts_on(session, frame)}, [data]
        if request.kind == "tile":
            place = TilePlace(*(read_whole(request.payload, name) for name in ("frame", "level", "column", "row")))
            limits = checked_limits(request.payload.get("limits"))
            codec: Any = read_text(request.payload, "codec")  # checked where it is used
            described, data = self._tiles.tile(place, limits, codec)
            return described, [data]
        if request.kind == "training":
            return training_told(session)
        if request.kind == "move":
            self.move(read_text(request.payload, "axis"), read_whole(request.payload, "position"))
            return {}, []
        return perform(session, request), []

    def _tell(self, content: Payload, buffers: list[bytes] | None = None) -> None:
        # a comm's messages are not made for several threads at once
        with self._sending:
            if self.comm is not None:
                self.send(content, buffers or [])

    # What happens in the session

    def _follow(self) -> None:
        self._session.changed.connect(self._session_changed)
        self._session.jobs.changed.connect(self._job_listed)
        self._session.model_changed.connect(self._tell_training)
        self._session.preset_changed.connect(self._tell_state)
        for job in self._session.jobs.active:
            self._job_listed(job)

    def _unfollow(self) -> None:
        self._session.changed.disconnect(self._session_changed, missing_ok=True)
        self._session.jobs.changed.disconnect(self._job_listed, missing_ok=True)
        self._session.model_changed.disconnect(self._tell_training, missing_ok=True)
        self._session.preset_changed.disconnect(self._tell_state, missing_ok=True)

    def _session_changed(self, change: Change) -> None:
        """Tell the views; in whichever thread made the change."""
        with self._counter_lock:
            self._seq += 1
            seq = self._seq
        session, frame = self._session, self.frame
        payload: Payload = {
            "what": sorted(change.what),
            "objects": sorted(change.objects),
            "frames": summary.told_frames(change.frames),
            "step": change.step,
        }
        buffers: list[bytes] = []
        if frame in change.frames:
            if "mask" in change.what:
                payload["inline"], data = summary.masks_on(session, frame, seq, change.objects)
                buffers = [data]
            if "prompt" in change.what:
                payload["inline_prompts"] = summary.prompts_on(session, frame)
        if change.what & {"object", "prompt"}:
            payload["state"] = summary.state(session, self.selected, self.frame)
        self._tell(event("changed", payload, seq), buffers)
        self.changed.emit(change)

    def _tell_state(self) -> None:
        """Tell the views what is so now, where nothing that is kept has changed; in whichever thread."""
        with self._counter_lock:
            self._seq += 1
            seq = self._seq
        payload: Payload = {"what": [], "objects": [], "frames": [], "step": None}
        self._tell(event("changed", payload | {"state": summary.state(self._session, self.selected, self.frame)}, seq))

    def _job_listed(self, job: Job) -> None:
        if job.id not in self._reported:
            self._reported[job.id] = ("", 0.0)
            job.changed.connect(self._job_changed)
            if job.training is not None:
                job.training.changed.connect(self._training_changed)
        self._job_changed(job)

    def _job_changed(self, job: Job) -> None:
        state, now = job.state, time.monotonic()
        told, when = self._reported.get(job.id, ("", 0.0))
        if state == told and (state in ENDED or now - when < JOB_REPORT_SECONDS):
            return
        self._reported[job.id] = (state, now)
        self._tell(event("job", summary.job_payload(job), self._seq))
        if job.training is not None and state != told:
            self._tell_training()

    def _training_changed(self, record: TrainingRecord) -> None:
        """Tell the views how it goes; in the thread that trains."""
        _, pictures, when = self._training_told
        if record.pictures != pictures or time.monotonic() - when >= TRAINING_REPORT_SECONDS:
            self._tell_training()

    def _tell_training(self, _model: object = None) -> None:
        job = latest_training(self._session)
        number = 0 if job is None else job.id
        known = self._training_told[1] if self._training_told[0] == number else 0
        told, buffers = training_told(self._session, known)
        self._training_told = (number, told.get("pictures", 0), time.monotonic())
        self._tell(event("training", told, self._seq), buffers)

    def _frame_chosen(self, change: Any) -> None:
        self._session.current_frame = change.new

    @traitlets.validate("frame")
    def _checked_frame(self, proposal: Any) -> int:
        return self._session.checked_frame(proposal.value)

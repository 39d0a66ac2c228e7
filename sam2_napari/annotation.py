"""One session in one viewer: what a person does, and what is shown of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from sam2_core.hooks import Drawn, PromptType
from sam2_core.session.items import Change
from sam2_core.session.mask_pixels import union_box
from sam2_napari.drawing import Drawing
from sam2_napari.frame_placement import FramePlacement
from sam2_napari.gui_thread import Gathered
from sam2_napari.label_layer import show_box
from sam2_napari.layer_removal import keep_programs, remove_layers
from sam2_napari.object_actions import ObjectActions
from sam2_napari.object_rows import ObjectRow, ObjectRows
from sam2_napari.prompt_layers import Clicks
from sam2_napari.session_start import close_session

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.job import Job

#: Milliseconds between two looks at what changed: masks, the table.
MASKS_MS, ROWS_MS = 30, 250


class Annotation(ObjectActions):
    """A session, its layers in a viewer, and everything a person can do with them.

    Whatever touches the session's files is done one after the other in a thread of its own; the interface hears of it
    by the session's events.

    Parameters
    ----------
    viewer : ViewerModel
    image : Image
        What the session's stack was made of.
    session : AnnotationSession
        Closed with this.
    placement : FramePlacement
    parent : QObject, optional
    """

    #: What there is to say of the objects, list of ObjectRow.
    rows_changed = Signal(list)
    #: What was done last.
    stepped = Signal(str)
    #: The tool or the sign.
    tool_changed = Signal()
    #: The frame that the viewer shows.
    frame_changed = Signal(int)
    #: The session is closed, for the reason given.
    closed = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        session: AnnotationSession,
        placement: FramePlacement,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(viewer, image, session, placement, self._clicks_edited, parent)
        self.answers_at_once = True
        self.closing: Future[Any] | None = None  # of the session's files, once it was asked for
        self._is_open = True
        self._options: Callable[[PromptType], dict[str, Any]] = lambda prompt_type: {}
        self._reader = ObjectRows(session)
        self._lock = threading.Lock()
        self._changes: list[Change] = []
        self._show_soon = Gathered(self.gui, self._show_changes, MASKS_MS)
        self._rows_soon = Gathered(self.gui, self._read_rows, ROWS_MS)
        self._frame_soon = Gathered(self.gui, self._tell_frame, MASKS_MS)
        self.drawing = Drawing(viewer, self.layer, placement, self.prompts, self.draw, lambda text: self.say(text))
        keep_programs()
        for layer in (self.prompts.shapes, self.prompts.points, self.layer):
            viewer.add_layer(layer)
        viewer.layers.selection.active = self.layer
        self.layer.events.paint.connect(self._painted)
        viewer.layers.events.removed.connect(self._layer_removed)
        viewer.dims.events.current_step.connect(self._frame_soon.ask)
        session.changed.connect(self._note)
        session.jobs.changed.connect(self._note_job)
        session.fell_back.connect(self._note_fallback)
        self._rows_soon.ask()
        self._frame_soon.ask()

    # Prompts

    def options_from(self, options: Callable[[PromptType], dict[str, Any]]) -> None:
        """Take each prompt type's options from here."""
        self._options = options

    def choose_tool(self, prompt_type: PromptType | None) -> None:
        """Draw for a prompt type, or leave the mouse to the viewer."""
        self.drawing.choose(prompt_type)
        self.tool_changed.emit()

    def set_sign(self, positive: bool) -> None:
        """Whether what is drawn belongs to the object."""
        self.drawing.positive = positive
        self.tool_changed.emit()

    def draw(self, prompt_type: PromptType, drawn: Drawn) -> None:
        """Take a drawing as a prompt of the current object, or of a new one; answered at once if that is wanted."""
        options = self._options(prompt_type)
        is_answered, choice = self.answers_at_once, self._choice

        def work() -> list[int]:
            told = self._add_drawn(prompt_type.name, drawn, options)
            if told:
                self._target = told[-1]
            if is_answered and self.session.can_segment:
                self._answer(told, drawn.frame)
            return told

        self.work.do(work, then=lambda told: self._drawn(told, choice))

    def segment(self) -> None:
        """Answer what is said of the current object on this frame, again."""
        object_id, frame = self._current_on_frame()
        if object_id is not None and frame is not None:
            self.work.do(lambda: self.session.start_segment(object_id, frame))

    def clear_prompts(self) -> None:
        """Take back what was said of the current object on this frame."""
        object_id, frame = self._current_on_frame()
        if object_id is not None and frame is not None:
            self.work.do(lambda: self.session.clear_prompt(object_id, frame))

    # Steps

    def undo(self) -> None:
        """Take back what was done last."""
        self.work.do(self.session.undo, then=lambda label: self.say(f"Undone: {label}"))

    def redo(self) -> None:
        """Do again what was undone last."""
        self.work.do(self.session.redo, then=lambda label: self.say(f"Done again: {label}"))

    def close(self, reason: str = "") -> None:
        """Close the session and take its layers away; everything is written already."""
        if not self._is_open:
            return
        self._is_open = False
        self.let_go()
        self.viewer.layers.events.removed.disconnect(self._layer_removed)
        self.viewer.dims.events.current_step.disconnect(self._frame_soon.ask)
        remove_layers(self.viewer, self.layers)
        self.closed.emit(reason)

    def let_go(self) -> None:
        """Close the session, without touching a viewer that may be gone already; does not wait for it."""
        self.gui.close()
        self.labels.close()
        session = self.session
        session.changed.disconnect(self._note, missing_ok=True)
        session.jobs.changed.disconnect(self._note_job, missing_ok=True)
        session.fell_back.disconnect(self._note_fallback, missing_ok=True)
        self.control.close()

        self.closing = self.work.close(last=lambda: close_session(session))

    # From the session, in any thread

    def _note(self, change: Change) -> None:
        self.labels.update(change)
        self._reader.outdate(change)
        with self._lock:
            self._changes.append(change)
        self._show_soon.ask()
        self._rows_soon.ask()

    def _note_job(self, job: Job) -> None:
        # the list says when a job begins and ends, the job itself how it gets on
        job.changed.connect(self._jobs_soon.ask, unique=True)
        self._jobs_soon.ask()

    def _note_fallback(self, text: str) -> None:
        self.gui.call(lambda: self.say(text, True))

    # In the thread of the interface

    def _show_changes(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, []
        if not changes or not self._is_open:
            return
        frame = self.frame
        displayed = self._displayed
        if self.placement.is_in_plane(displayed):
            boxes = [change.boxes[frame] for change in changes if frame in change.boxes] if frame is not None else []
            if boxes and frame is not None:
                show_box(self.layer, self.labels, self.placement, frame, union_box(*boxes), displayed)
        elif any(change.boxes for change in changes) and len(displayed) == 2:
            self.layer.refresh()
        if any(self.current in change.objects and change.what & {"prompt", "object"} for change in changes):
            self._read_prompts()
        self.stepped.emit(changes[-1].step)

    def _read_rows(self) -> None:
        frame = self.frame
        self.work.do(lambda: self._reader.read(frame), then=self._show_rows)

    def _show_rows(self, rows: list[ObjectRow]) -> None:
        self.rows = rows
        colours = {row.id: row.colour for row in rows}
        if colours != self._colours:
            self._colours = colours
            self._show_colours()
        if self.current is not None and self.current not in colours:
            self.select(None)
        self.rows_changed.emit(rows)

    def _tell_frame(self) -> None:
        frame = self.frame
        if frame is None:
            return
        self.work.do(lambda: setattr(self.session, "current_frame", frame))
        self._rows_soon.ask()
        self.frame_changed.emit(frame)

    def _drawn(self, told: list[int], choice: int) -> None:
        if not told:
            self.say("That says nothing about the object; nothing was changed.")
        elif choice == self._choice:
            # else the person has gone on to another object meanwhile
            self._make_current(told[-1])

    def _clicks_edited(self, clicks: Clicks) -> None:
        """A person moved, deleted or added clicks in the Points layer."""
        object_id = self.current
        if object_id is None:
            self.say("Select an object first; these clicks belong to none.")
            self.prompts.show({})
            return
        is_answered = self.answers_at_once

        def work() -> None:
            changed = []
            for frame in sorted({*clicks, *self.session.prompted_frames(object_id)}):
                before = self.session.prompt(object_id, frame)
                given = clicks.get(frame, [])
                points, labels = [(x, y) for x, y, _ in given], [label for _, _, label in given]
                if points != list(before.points) or labels != list(before.labels):
                    after = self.session.set_points(object_id, frame, points, labels)
                    if not after.is_empty:
                        changed.append(frame)
            if is_answered and self.session.can_segment:
                for frame in changed:
                    self.session.start_segment(object_id, frame)

        # whatever was refused, the layer shows what holds
        self.work.do(work)
        self._read_prompts()

    def _painted(self, event: Any) -> None:
        """A person painted with the layer's own brush: the masks are locked as they were painted."""
        painted = self.labels.take_painted()
        reset = getattr(self.layer, "_reset_history", None)
        if reset is not None:
            # undo is the session's; napari's own history would paint old labels over new masks
            reset()

        def work() -> None:
            for frame, before, after in painted:
                changed = before != after
                for object_id in sorted({*before[changed].tolist(), *after[changed].tolist()} - {0}):
                    won, lost = changed & (after == object_id), changed & (before == object_id) & (after == 0)
                    if not won.any() and not lost.any():
                        # another object was painted over it, and lies on top now
                        continue
                    target = object_id if self.session.has_object(object_id) else self.session.add_object().id
                    self.session.paint(target, frame, (self.session.mask(target, frame) | won) & ~lost)

        self.work.do(work)

    def _layer_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.close("The layer of the objects was deleted, so the session was closed. It can be continued.")
        elif event.value in (self.prompts.points, self.prompts.shapes):
            self.say("Clicks and boxes are not shown any more; close and continue the session to show them again.")

    # In the thread of the work

    def _add_drawn(self, name: str, drawn: Drawn, options: dict[str, Any]) -> list[int]:
        # an undo may have taken the object back that was the current one
        target = self._target if self._target is not None and self.session.has_object(self._target) else None
        return self.session.add_drawn(name, drawn, target, **options)

    def _answer(self, object_ids: list[int], frame: int) -> None:
        for object_id in dict.fromkeys(object_ids):
            frames = [frame] if not self.session.prompt(object_id, frame).is_empty else []
            for one in frames or self.session.prompted_frames(object_id)[-1:]:
                self.session.start_segment(object_id, one)

    @property
    def _displayed(self) -> list[int]:
        offset = self.viewer.dims.ndim - self.layer.ndim
        return [dimension - offset for dimension in self.viewer.dims.displayed]

"""What is shown of a session in a viewer, and the ways from the interface to it and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from sam2_core.errors import Sam2Error
from sam2_napari.frame_placement import FramePlacement
from sam2_napari.gui_thread import Gathered, GuiThread, OrderedWork
from sam2_napari.label_layer import colour, new_label_layer
from sam2_napari.object_rows import ObjectRow
from sam2_napari.prompt_layers import Clicks, PromptLayers
from sam2_napari.session_labels import SessionLabels

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.items import SessionPrompt
    from sam2_core.session.job import Job

#: Milliseconds between two looks at the jobs.
JOBS_MS = 100


class SessionView(QObject):
    """The part of :class:`~sam2_napari.annotation.Annotation` that shows: layers, rows, sentences.

    Whatever touches the session's files is done one after the other in a thread of its own (`work`).

    Parameters
    ----------
    viewer : ViewerModel
    image : Image
        What the session's stack was made of.
    session : AnnotationSession
    placement : FramePlacement
    clicks_edited : callable
        Gets the clicks that a person changed in their layer.
    parent : QObject, optional
    """

    #: The current object's id, or None.
    selected = Signal(object)
    #: What a person should read: a sentence, and whether something went wrong.
    said = Signal(str, bool)
    #: Something about the jobs.
    jobs_changed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        session: AnnotationSession,
        placement: FramePlacement,
        clicks_edited: Callable[[Clicks], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self.image, self.session, self.placement = viewer, image, session, placement
        self.gui = GuiThread(self)
        self.work = OrderedWork(self.gui, self.failed)
        # stopping waits neither for what is being done nor, in the interface, for the lock of the jobs
        self.control = OrderedWork(self.gui, self.failed)
        self.current: int | None = None
        self.hidden: set[int] = set()
        self.rows: list[ObjectRow] = []
        self._colours: dict[int, str] = {}
        self._jobs_soon = Gathered(self.gui, self.jobs_changed.emit, JOBS_MS)
        self.labels = SessionLabels(session, placement)
        self.layer = new_label_layer(image, self.labels)
        self.prompts = PromptLayers(image, placement, clicks_edited)

    @property
    def layers(self) -> list[Any]:
        """The session's layers."""
        return [self.layer, self.prompts.points, self.prompts.shapes]

    @property
    def frame(self) -> int | None:
        """The session's frame that the viewer shows; None if it shows none."""
        return self.placement.frame_at(self.layer.world_to_data(self.viewer.dims.point))

    def row(self, object_id: int | None) -> ObjectRow | None:
        """What is known of an object."""
        return next((row for row in self.rows if row.id == object_id), None)

    def say(self, text: str, is_wrong: bool = False) -> None:
        """Tell the person something."""
        self.said.emit(text, is_wrong)

    def failed(self, error: Exception) -> None:
        """Tell the person what went wrong; what nobody foresaw goes to napari's own report, with its traceback."""
        if isinstance(error, Sam2Error | MemoryError | OSError):
            self.say(str(error) or type(error).__name__, True)
        else:
            self.say(f"{type(error).__name__}: {error}", True)
            raise error

    def when_done(self, job: Job, function: Callable[[Job], object]) -> None:
        """Call a function in the interface's thread once a job is done; never if it fails or is stopped.

        The list of jobs tells of the end first, so that what the function says is not overwritten by it.
        """

        def look() -> None:
            if not job.is_active:
                self.jobs_changed.disconnect(look)
                if job.state == "done":
                    function(job)

        self.jobs_changed.connect(look)
        # it may have ended before anybody listened
        self._jobs_soon.ask()

    def _show_colours(self) -> None:
        colour(self.layer, self._colours, self.hidden & set(self._colours))

    def _read_prompts(self) -> None:
        object_id = self.current
        if object_id is None:
            self.prompts.show({})
            return

        def read() -> dict[int, SessionPrompt]:
            if not self.session.has_object(object_id):
                return {}
            return {one: self.session.prompt(object_id, one) for one in self.session.prompted_frames(object_id)}

        self.work.do(read, then=lambda found: self._show_prompts(object_id, found))

    def _show_prompts(self, object_id: int, found: dict[int, SessionPrompt]) -> None:
        if object_id == self.current:
            self.prompts.show(found)

"""The dock: choose an image and a model, and work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from sam2_core.checkpoints.catalogue import known_models
from sam2_core.errors import Sam2Error
from sam2_core.hooks import ModelEntry
from sam2_napari import model_list
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.companion import Companion
from sam2_napari.everything_panel import EverythingPanel
from sam2_napari.folder_panel import FolderPanel
from sam2_napari.folder_work import FolderWork
from sam2_napari.gui_thread import GuiThread, OrderedWork
from sam2_napari.job_list import JobList
from sam2_napari.keys import BoundKeys, key_of, label_of, with_key
from sam2_napari.lineage import Lineage
from sam2_napari.mesa import keep_triton_out
from sam2_napari.object_rows import ObjectRow
from sam2_napari.object_table import ObjectTable
from sam2_napari.option_form import in_words
from sam2_napari.propagate_panel import PropagatePanel
from sam2_napari.reader import LayerData, layers_of, read
from sam2_napari.review_panel import ReviewPanel
from sam2_napari.save_panel import SavePanel
from sam2_napari.session_start import SessionRequest, close_session, open_session
from sam2_napari.start_panel import StartPanel
from sam2_napari.tool_panel import ToolPanel
from sam2_napari.training_panel import TrainingPanel, model_name

if TYPE_CHECKING:
    import napari

    from sam2_core.session.annotation_session import AnnotationSession


FIRST_CLICK: Final = "Click on an object. The first answer takes longer: the model is loaded."
LARGE_FRAMES: Final = "The model cannot see frames of this size whole: it takes a close-up of each object."


class AnnotateDock(QWidget):
    """The widget that napari shows: one session in one viewer at a time.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.annotation: Annotation | None = None
        self.workspace: Workspace | None = None
        self._gui = GuiThread(self)
        self._work = OrderedWork(self._gui, self._failed)
        self._question: QMessageBox | None = None
        self._closing: Future[Any] | None = None
        self.is_taken_away = False  # out of the window that it was in
        self.start = StartPanel(napari_viewer, self.begin, self._failed, self.open_image)
        self.folder_work = FolderWork(self)
        self.folder = FolderPanel(napari_viewer, self.folder_work)
        self.progress = QProgressBar()
        self.progress.setFixedHeight(10)
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.give_up = button("Stop", self._stop_download, "Stop downloading; the next time it goes on from there.")
        self.give_up.hide()
        self.status = QLabel("Choose an image and a model.")
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._inner = QVBoxLayout()
        self._inner.setContentsMargins(8, 8, 8, 8)
        self._inner.addWidget(self.folder)
        self._inner.addWidget(self.start)
        self._inner.addWidget(self.folder.show_choice)
        self._inner.addStretch(1)
        content = QWidget()
        content.setLayout(self._inner)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        # a tool with a wider form must not move the picture
        scroll.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(8, 0, 8, 8)
        going_on = QHBoxLayout()
        going_on.addWidget(self.progress, 1)
        going_on.addWidget(self.give_up)
        foot.addLayout(going_on)
        foot.addWidget(self.status)
        layout.addLayout(foot)
        # napari 0.9 gives a dock no more height than it asks for
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        # names of objects fit in the table of a time-lapse, which has most columns
        self.setMinimumWidth(440)
        # the viewer may be closed in the middle of anything: what is open is closed without it
        self._open_sessions: list[Annotation] = []
        self._opened_unseen: list[AnnotationSession] = []  # the interface has not come to it yet
        self._is_given_up = Event()  # the download
        self.destroyed.connect(
            partial(_let_go, self._open_sessions, self._opened_unseen, self._is_given_up, self._work)
        )

    def begin(self, request: SessionRequest) -> None:
        """Begin a session; the model is downloaded first, if the person agrees."""
        # the window is drawn by now, and torch is imported from here on
        keep_triton_out()
        request = self.folder_work.placed(request)
        entry = known_models().get(str(request.model))
        if entry is not None and not model_list.is_here(entry):
            self._ask_download(entry, request)
            return
        self._busy(f"Opening {request.image.name}…")
        report = lambda text: self._gui.call(lambda: self._busy(text))  # noqa: E731
        # the session that was closed last may be the one that is continued, and its files are let go in the background
        self.do(
            lambda: self._opened_unseen.append(open_session(request, report)),
            then=lambda _: self._opened(request, self._opened_unseen.pop()),
        )

    def open_image(self, path: str) -> None:
        """Add an image to the viewer, whichever format it is in; the disk or the network may take its time."""
        self._busy(f"Opening {path}…")
        self._work.do(lambda: read(path), then=self._add_layers)

    def changeEvent(self, event: QEvent) -> None:
        """Close the session when napari takes the dock away: its keys, layers and lock would stay without it."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange:
            self.is_taken_away = self.parent() is None
            if self.is_taken_away:
                self.folder_work.close()
                self._is_given_up.set()
                self.close_session()

    def close_session(self) -> None:
        """Close the session, if one is open."""
        if self.annotation is not None:
            self.annotation.close("The session is closed. Everything is kept; it can be continued.")

    def do(self, function: Callable[[], Any], then: Callable[[Any], object] | None = None) -> None:
        """Do something beside the interface, once the session that was closed last has let go of its files."""
        self._work.do(self._wait_for_closing)
        self._work.do(function, then)

    def say(self, text: str, is_wrong: bool = False) -> None:
        """Tell the person something, and what went wrong in napari's way too."""
        self.status.setText(text)
        if is_wrong:
            from napari.utils.notifications import show_warning

            show_warning(text)

    def _failed(self, error: Exception) -> None:
        self._rest()
        self.say(str(error) or type(error).__name__, True)
        if not isinstance(error, Sam2Error | OSError | MemoryError):
            raise error

    def _rest(self) -> None:
        self.progress.hide()
        self.give_up.hide()
        self.start.setEnabled(True)

    def _add_layers(self, found: list[LayerData]) -> None:
        self._rest()
        self.say("")
        for layer in layers_of(found):
            self.viewer.add_layer(layer)

    def _busy(self, text: str) -> None:
        self.start.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.show()
        self.say(text)

    def _opened(self, request: SessionRequest, session: AnnotationSession) -> None:
        self._rest()
        if request.image not in self.viewer.layers or self.is_taken_away:
            self._work.do(lambda: close_session(session))
            self.say("The image was closed meanwhile.")
            return
        # an image of a folder was asked for while another one was being opened
        self.close_session()
        # in three dimensions napari would read all of the new layers
        self.viewer.dims.ndisplay = 2
        self.annotation = Annotation(self.viewer, request.image, session, request.placement, self)
        self._open_sessions.append(self.annotation)
        self.annotation.said.connect(self.say)
        self.annotation.closed.connect(self._closed)
        self.companion = Companion(self.annotation, request.image)
        self.lineage = Lineage(self.annotation, request.image)
        self.workspace = Workspace(self.annotation)
        for widget in (self.start, self.folder.show_choice):
            widget.hide()
        self._inner.insertWidget(1, self.workspace, 1)
        self.workspace.tools.buttons["point"].click()
        self.annotation.rows_changed.connect(self._answered)
        self.folder_work.began(self.annotation)
        session.model_changed.connect(self._model_changed)
        self.say(FIRST_CLICK if session.preset == "exact" else f"{FIRST_CLICK} {LARGE_FRAMES}")
        if self.workspace.keys.wrong:
            self.say(f"{' '.join(self.workspace.keys.wrong)} Change it in File > Preferences > SAM 2 Lab.", True)

    def _model_changed(self, model: Any) -> None:
        """Choose it for the next session too; from any thread."""
        if self.annotation is not None:
            self.annotation.gui.call(lambda: self._show_model(model))

    def _show_model(self, model: Any) -> None:
        if self.workspace is not None:
            self.workspace.show_model()
            self.workspace.everything.suit_model()
        self.start.list_models(model)

    def _answered(self, rows: list[ObjectRow]) -> None:
        if self.status.text() == FIRST_CLICK and any(row.is_here for row in rows):
            self.say("")

    def _closed(self, reason: str) -> None:
        if self.workspace is not None:
            self.workspace.let_go()
            self._inner.removeWidget(self.workspace)
            # it goes as soon as Qt comes to it, and the next one may be shown before
            self.workspace.hide()
            self.workspace.deleteLater()
        if self.annotation is not None:
            self._closing = self.annotation.closing
            self._work.do(self._wait_for_closing, then=lambda _: self._let_files_go())
            self._open_sessions.remove(self.annotation)
            self.annotation.deleteLater()
        self.workspace = self.annotation = None
        for widget in (self.start, self.folder.show_choice):
            widget.show()
        self.start.list_sessions()
        self.say(reason)

    def _let_files_go(self) -> None:
        self.start.list_sessions()
        self.folder_work.list_states()

    def _wait_for_closing(self) -> None:
        if self._closing is not None:
            wait([self._closing])

    def _ask_download(self, entry: ModelEntry, request: SessionRequest) -> None:
        box = QMessageBox(QMessageBox.Icon.Question, "Download a model", model_list.question(entry), parent=self)
        yes = box.addButton("Download", QMessageBox.ButtonRole.AcceptRole)
        small = box.addButton("Use the small model instead", QMessageBox.ButtonRole.ActionRole)
        box.addButton(QMessageBox.StandardButton.Cancel)

        def answered() -> None:
            self._question = None
            if box.clickedButton() is yes:
                self._download(entry, request)
            elif box.clickedButton() is small:
                self.start.model.setCurrentIndex(self.start.model.findData(model_list.OFFLINE))
                self.start.request()

        box.finished.connect(answered)
        self._question = box
        box.open()

    def _download(self, entry: ModelEntry, request: SessionRequest) -> None:
        self._busy(f"Downloading {entry.name}…")
        self._is_given_up.clear()
        self.give_up.setEnabled(True)
        self.give_up.show()

        def show(done: int, total: int | None) -> None:
            thousandth = 0 if not total else 1000 * done // total
            self.progress.setRange(0, 1000 if total else 0)
            self.progress.setValue(thousandth)
            self.status.setText(f"Downloading {entry.name}: {done / 1e6:.0f} MB of {model_list.size(entry)}")

        shown = 0

        def report(done: int, total: int | None) -> None:
            nonlocal shown
            if self._is_given_up.is_set():
                raise model_list.DownloadGivenUpError
            # a look at every megabyte is enough
            if done - shown >= 1_000_000 or done == total:
                shown = done
                self._gui.call(lambda: show(done, total))

        def download() -> bool:
            try:
                model_list.download(entry, report)
            except model_list.DownloadGivenUpError:
                return False
            return True

        def then(is_here: bool) -> None:
            self._rest()
            if is_here:
                self.start.list_models()
                self.begin(request)
            else:
                self.say(f"Stopped. What has come of {entry.name} is kept, and goes on from there the next time.")

        self._work.do(download, then=then)

    def _stop_download(self) -> None:
        self._is_given_up.set()
        self.give_up.setEnabled(False)
        self.status.setText("Stopping the download…")


class Workspace(QWidget):
    """Everything there is while a session is open.

    Parameters
    ----------
    annotation : Annotation
    """

    def __init__(self, annotation: Annotation) -> None:
        super().__init__()
        self._annotation = annotation
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.show_model()
        self.undo = button(with_key("Undo", key_of("undo")), annotation.undo, "Take back what was done last.")
        self.redo = button(with_key("Redo", key_of("redo")), annotation.redo, "Do again what was undone.")
        self.stop = button("Close", partial(annotation.close, "The session is closed; it can be continued."))
        history = QHBoxLayout()
        for widget in (self.undo, self.redo, self.stop):
            history.addWidget(widget)
        self.tools = ToolPanel(annotation)
        self.table = ObjectTable(annotation)
        self.propagation = PropagatePanel(annotation, lambda: self.table.selected)
        self.everything = EverythingPanel(annotation)
        self.review = ReviewPanel(annotation)
        self.training = TrainingPanel(annotation)
        self.save = SavePanel(annotation)
        self.jobs = JobList(annotation)
        self.tabs = QTabWidget()
        for panel, name in (
            (self.propagation, "Track"),
            (self.everything, "Everything"),
            (self.review, "Review"),
            (self.training, "Train"),
            (self.save, "Files"),
        ):
            self.tabs.addTab(panel, name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addLayout(history)
        layout.addWidget(self.tools)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.jobs)
        layout.addWidget(self.tabs)
        self.keys = BoundKeys(annotation.viewer, annotation.layers)
        self._bind()

    def show_model(self) -> None:
        """Say what is worked on, and with which model."""
        session = self._annotation.session
        frames = (
            f": {session.frame_count} frames along {' and '.join(self._annotation.placement.along)}"
            if session.frame_count > 1
            else ""
        )
        with_model = "" if session.model is None else f", with {model_name(session.model)}"
        self.title.setText(f"<b>{session.stack.name}</b>{frames}{with_model}")

    def let_go(self) -> None:
        """Give the keys back."""
        self.keys.release()

    def _bind(self) -> None:
        annotation = self._annotation
        does = {
            "segment": annotation.segment,
            "accept": lambda: annotation.select(None),
            "clear": annotation.clear_prompts,
            "toggle_sign": lambda: annotation.set_sign(not annotation.drawing.positive),
            "next_object": lambda: annotation.step_object(1),
            "previous_object": lambda: annotation.step_object(-1),
            "propagate": self.propagation.propagate,
            "lock": self._toggle_lock,
            "divide": annotation.mark_division,
            "next_doubtful": self._next_doubtful,
            "accept_doubtful": self.review.accept_shown,
            "no_tool": lambda: annotation.choose_tool(None),
            "finish": annotation.drawing.finish_polygon,
            "undo": annotation.undo,
            "redo": annotation.redo,
            "cancel": annotation.cancel,
        }
        for name, prompt_type in self.tools.prompt_types.items():
            key = self.tools.key(prompt_type)
            self.keys.bind(key, partial(self._toggle_tool, name), in_words(name))
        for name, function in does.items():
            self.keys.bind(key_of(name), function, label_of(name))

    def _toggle_tool(self, name: str) -> None:
        """Choose a tool; its key again leaves it."""
        chosen = self.tools.prompt_types[name]
        is_on = self._annotation.drawing.prompt_type is chosen
        self._annotation.choose_tool(None if is_on else chosen)

    def _toggle_lock(self) -> None:
        row = self._annotation.row(self._annotation.current)
        self._annotation.lock(locked=not (row is not None and row.is_locked))

    def _next_doubtful(self) -> None:
        self.tabs.setCurrentWidget(self.review)
        self.review.go_on()


def _let_go(
    open_sessions: list[Annotation], unseen: list[AnnotationSession], is_given_up: Event, work: OrderedWork
) -> None:
    """Close what is open when the dock goes, and what is being opened; the viewer may be gone already."""
    for annotation in open_sessions:
        annotation.let_go()
    is_given_up.set()

    def close_unseen() -> None:
        for session in unseen:
            session.close()

    work.close(last=close_unseen)

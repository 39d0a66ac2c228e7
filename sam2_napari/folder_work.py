"""Working through the images of a folder: which one is in the viewer, its session, and the labels when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QMessageBox

from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_napari.layer_removal import remove_layers
from sam2_napari.layer_stack import axes_of
from sam2_napari.session_folders import recalled, recent_folders, remember_folder

if TYPE_CHECKING:
    from napari.layers import Image

    from sam2_core.session.items import Change
    from sam2_core.session.job import Job
    from sam2_core.session.work_list import WorkItem, WorkList, WorkState
    from sam2_napari.annotation import Annotation
    from sam2_napari.dock import AnnotateDock
    from sam2_napari.session_start import SessionRequest


class FolderWork(QObject):
    """Takes one image of a folder after the other into the viewer, each with the session that is its own.

    Parameters
    ----------
    dock : AnnotateDock
        Begins and closes the sessions.
    """

    #: Another folder or image, or how far one is: what there is to list.
    listed = Signal(object)

    def __init__(self, dock: AnnotateDock) -> None:
        super().__init__(dock)
        self._dock = dock
        self.work: WorkList | None = None
        self.current: WorkItem | None = None
        self._layers: list[Any] = []  # of the current image
        self._number = 0  # of the layer among them that the session is of, where there are several
        self._is_opening = False
        # the axes that were guessed of the image before, and the frames that were chosen of it
        self._frames: tuple[str, dict[str, Any]] | None = None
        # what was chosen of the image before; between two images there is none, and nothing is chosen
        self._plane: tuple[str, str] | None = None
        self._changes = 0  # of the session that is open
        self._is_taken_up = False  # noted, since its labels were asked for, that it was changed
        self._question: QMessageBox | None = None
        #: What was chosen for each folder that was worked through, the last one last.
        self.recent: dict[str, dict[str, Any]] = {}

    def read_recent(self, then: Callable[[], object]) -> None:
        """Look which folders were worked through, and call a function once that is known."""

        def known(recent: dict[str, dict[str, Any]]) -> None:
            self.recent = recent
            then()

        self._dock.do(recent_folders, then=known)

    def open(self, images: str, labels: str, format: str, takes_labelled_as_done: bool) -> None:
        """Open a folder, and its first image that is not done."""

        def work() -> tuple[WorkList, dict[str, dict[str, Any]]]:
            from sam2_core.session.work_list import WorkList

            opened = WorkList(images, labels or None, format=format, takes_labelled_as_done=takes_labelled_as_done)
            chosen = {"labels": labels, "format": format, "takes_labelled_as_done": takes_labelled_as_done}
            remember_folder(images, chosen)
            return opened, recent_folders()

        self._dock.say(f"Looking through {images}…")
        self._dock.do(work, then=lambda found: self._opened(*found))

    def close(self) -> None:
        """Let go of the folder; the image that is open stays, and so do all sessions."""
        self.work = self.current = None
        self._layers = []
        self.listed.emit({})

    def go(self, item: WorkItem | None) -> None:
        """Take an image into the viewer in the place of the one before, and go on with its session."""
        # asked for twice, its session would be opened while it is being opened
        is_on_the_way = item == self.current and not self._dock.start.isEnabled()
        if item is None or self._is_opening or is_on_the_way:
            return
        if self._is_working("another image is opened"):
            return
        self._is_opening = True
        self._dock.close_session()
        start = self._dock.start
        start.setEnabled(False)
        if start.chosen_image in self._layers and start.plane.currentData():
            self._plane = start.plane.currentData(), start.along.currentData() or ""
        remove_layers(self._dock.viewer, self._layers)
        self.current, self._layers = item, []
        self.list_states()
        self._dock.say(f"Opening {item.name}…")

        def work() -> Any:
            from sam2_napari.reader import read

            try:
                return read(str(item.image)), recalled(item.session)
            finally:
                # whatever comes of it, another one may be chosen
                self._is_opening = False

        self._dock.do(work, then=lambda found: self._show(item, *found))

    def step(self, step: int, *, skips_done: bool = True) -> None:
        """Go to the next image, or with -1 to the one before; passes over those that are done, if wanted."""
        work, current = self.work, self.current
        if work is not None and not self._is_working("another image is opened"):
            self._dock.do(
                lambda: work.step(current, step, skips_done=skips_done),
                then=lambda item: self._dock.say("There is no other image.") if item is None else self.go(item),
            )

    def finish(self, *, replaces: bool = False) -> None:
        """Write the labels of the image that is open, take it as done, and go to the next one."""
        work, item, annotation = self.work, self.current, self._dock.annotation
        if work is None or item is None or annotation is None or annotation.image not in self._layers:
            self._dock.say("Open an image of the folder first.")
            return
        if self._is_working("the image is done"):
            return
        changes = 0

        def start() -> Job | None:
            # what was asked before this has begun by now
            nonlocal changes
            _let_end(annotation)
            changes, self._is_taken_up = self._changes, False
            try:
                return work.start_finish(item, annotation.session, replaces=replaces)
            except DestinationExistsError:
                return None

        def started(job: Job | None) -> None:
            if job is None:
                self._ask_replace(item)
            else:
                annotation.when_done(job, lambda _: self._written(item, is_changed=self._changes != changes))

        self._dock.say(f"Writing {item.labels.name}…")
        annotation.work.do(start, then=started)

    def _is_working(self, before: str) -> bool:
        """Whether the session that is open has something to end first; that is said."""
        annotation = self._dock.annotation
        active = [] if annotation is None else annotation.session.jobs.active
        if active:
            self._dock.say(f"Wait for this, or stop it, before {before}: {active[0].label}.")
        return bool(active)

    def placed(self, request: SessionRequest) -> SessionRequest:
        """A request with the folder of the session that is the image's own, if it is one of the folder's."""
        if self.current is None or request.image not in self._layers:
            return request
        self._number = self._layers.index(request.image)
        chosen = request.placement
        described = {"axes": chosen.axes, "plane": chosen.plane, "along": chosen.along, "at": {}}
        self._frames = axes_of(request.image), described
        return replace(request, folder=self.current.session)

    def began(self, annotation: Annotation) -> None:
        """Hear of a session that was opened."""
        work, item = self.work, self.current
        if work is None or item is None or annotation.image not in self._layers:
            return

        self._is_taken_up = False

        def changed(_: Change) -> None:
            # here and now: labels that are asked for after a change are written after it is noted
            self._changes += 1
            if not self._is_taken_up:
                self._is_taken_up = True
                work.take_up_again(item)
                self.list_states()

        annotation.session.changed.connect(changed)
        self.list_states()

    def warn(self, text: str) -> None:
        """Tell the person what is wrong."""
        self._dock.say(text, True)

    def list_states(self) -> None:
        """Read how far each image is, once the session that was closed last has let go of its files."""
        work = self.work
        if work is not None:
            self._dock.do(lambda: {item: work.state(item) for item in work.items}, then=self._list)

    def _list(self, states: dict[WorkItem, WorkState]) -> None:
        if self.work is not None:
            self.listed.emit(states)

    def _opened(self, work: WorkList, recent: dict[str, dict[str, Any]]) -> None:
        self.recent = recent
        if self._dock.is_taken_away:
            return
        self.work, self.current = work, None
        self.list_states()
        if not work.items:
            self._dock.say(f"There is no image in {work.images} that can be opened.")
            return
        self._dock.do(lambda: work.step(None), then=self._begin)

    def _begin(self, item: WorkItem | None) -> None:
        if item is None:
            self._dock.say("All images of this folder are done. Double-click on one to open it again.")
        self.go(item)

    def _show(self, item: WorkItem, described: list[Any], known: dict[str, Any]) -> None:
        """Add an image to the viewer and begin, with the frames that its session is of if there is one."""
        if item is self.current or self.current is None:
            # where it is None the folder was closed meanwhile
            self._dock.start.setEnabled(True)
        if item is not self.current:
            return
        from napari.layers import Layer

        viewer, start = self._dock.viewer, self._dock.start
        self._layers = [Layer.create(*one) for one in described]
        for layer in self._layers:
            viewer.add_layer(layer)
        viewer.reset_view()
        names = [layer.name for layer in self._layers]
        number = names.index(known["name"]) if known.get("name") in names else min(self._number, len(names) - 1)
        image: Image = self._layers[number]
        start.image.setCurrentIndex(start.image.findData(image))
        if known:
            start.choose_frames(known)
        elif self._frames is not None and self._frames[0] == axes_of(image) != self._frames[1]["axes"]:
            # what was wrongly guessed of the image before is so of this one
            start.choose_frames(self._frames[1])
        elif self._plane is not None:
            start.choose_plane(*self._plane)
        # an image of a folder has a session of its own, whichever are kept elsewhere
        start.request(is_new=True)

    def _written(self, item: WorkItem, is_changed: bool) -> None:
        """The labels are there: go on, unless something was changed while they were written."""
        work = self.work
        if work is None or item is not self.current:
            return
        if is_changed:
            self._dock.do(lambda: work.take_up_again(item))
            self.list_states()
            self._dock.say(f"{item.name} was changed while its labels were written. Say again that it is done.")
            return

        def go_on(following: WorkItem | None) -> None:
            if following is not None:
                self.go(following)
                return
            self._dock.close_session()
            self.list_states()
            self._dock.say(f"All {len(work.items)} images are done. The labels are in {work.labels}.")

        self._dock.do(lambda: work.step(item), then=go_on)

    def _ask_replace(self, item: WorkItem) -> None:
        box = QMessageBox(
            QMessageBox.Icon.Question,
            "Replace labels",
            f"{item.labels} is there already, and was not written from this session. Replace it? This cannot be "
            "undone.",
            parent=self._dock,
        )
        yes = box.addButton("Replace", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def answered() -> None:
            self._question = None
            if box.clickedButton() is yes:
                self.finish(replaces=True)

        box.finished.connect(answered)
        self._question = box
        box.open()


def _let_end(annotation: Annotation) -> None:
    """Refuse while a session has something to end."""
    active = annotation.session.jobs.active
    if active:
        raise InvalidInputError(f"Wait for this, or stop it, before the image is done: {active[0].label}.")

"""Choosing what to work on: the image, its axes, the model, and whether to continue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from sam2_core.errors import InvalidInputError
from sam2_napari.buttons import button
from sam2_napari.frame_placement import FramePlacement
from sam2_napari.layer_stack import SOURCE_KEY, axes_of, shape_of
from sam2_napari.model_list import first_choice, listed_models
from sam2_napari.session_choice import SessionChoice
from sam2_napari.session_folders import description_of
from sam2_napari.session_start import SessionRequest
from sam2_napari.settings import setting, use_cache_folder

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

#: Frames of z-stacks over time, as one session.
BOTH: Final = "tz"
OTHER: Final = "Weights from a file…"


class StartPanel(QWidget):
    """What a session needs to begin.

    Parameters
    ----------
    viewer : ViewerModel
    start : callable
        Gets the SessionRequest.
    failed : callable
        Gets an error that says why there can be no session.
    open_image : callable
        Gets the path of an image to add to the viewer.
    parent : QWidget, optional
    """

    def __init__(
        self,
        viewer: ViewerModel,
        start: Callable[[SessionRequest], object],
        failed: Callable[[Exception], object],
        open_image: Callable[[str], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._start, self._failed = viewer, start, failed
        self._open_image = open_image
        self.image, self.model, self.session = QComboBox(), QComboBox(), SessionChoice(failed)
        self.along, self.plane = QComboBox(), QComboBox()
        self.axes, self.channels = QLineEdit(), QLineEdit()
        self.axes.setToolTip("A letter for each dimension: t time, c channel, z depth, y rows, x columns.")
        self.channels.setToolTip("Up to three channel numbers, such as 0, 2; shown to the model as red, green, blue.")
        self.along.setToolTip(
            "What frames are counted along: objects are carried from frame to frame. Along t and z they are volumes, "
            "carried from time to time."
        )
        self.plane.setToolTip("Which plane a frame shows; prompts are drawn on it.")
        for box in (self.image, self.model, self.session):
            # long names must not make the dock wide
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._form = QFormLayout()
        self._form.addRow("Image", self.image)
        self._form.addRow("Axes", self.axes)
        self._form.addRow("Frames along", self.along)
        self._form.addRow("Plane", self.plane)
        self._form.addRow("Channels", self.channels)
        self._form.addRow("Model", self.model)
        self._form.addRow("Session", self.session)
        self.open = button("Open a file…", self._ask_file, "Add an image to the viewer.")
        self.open_folder = button(
            "Open a folder…", self._ask_folder, "Add an OME-Zarr, or a folder of pictures, to the viewer."
        )
        self.begin = button("Start", self.request, "Begin to annotate.")
        row = QHBoxLayout()
        row.addWidget(self.open)
        row.addWidget(self.open_folder)
        row.addWidget(self.begin)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addLayout(row)

        self.image.currentIndexChanged.connect(self._image_chosen)
        self.axes.editingFinished.connect(self._axes_chosen)
        self.plane.currentIndexChanged.connect(self._plane_chosen)
        self.along.currentIndexChanged.connect(lambda _: self.list_sessions())
        self.model.activated.connect(self._model_chosen)
        for event in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, event).connect(self.list_images)
        self.list_models()
        self.list_images()

    @property
    def chosen_image(self) -> Image | None:
        """The layer that is chosen."""
        layer = self.image.currentData()
        return layer if layer is not None and layer in self._viewer.layers else None

    def list_images(self, event: Any = None) -> None:
        """List the image layers of the viewer; the one that is selected there first chosen."""
        from napari.layers import Image

        # also one that is not in the viewer any more: what was said of it is not said of the next, nor of none
        before = self.image.currentData()
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        active = self._viewer.layers.selection.active
        chosen = before if before in images else active if active in images else images[-1] if images else None
        self.image.blockSignals(True)
        self.image.clear()
        for layer in images:
            self.image.addItem(layer.name, layer)
        if chosen is not None:
            self.image.setCurrentIndex(images.index(chosen))
        self.image.blockSignals(False)
        for layer in images:
            layer.events.name.disconnect(self.list_images)
            layer.events.name.connect(self.list_images)
        if chosen is not before:
            self._image_chosen()

    def list_models(self, wanted: Any = None) -> None:
        """List the catalogue's models, and what else was chosen; the wanted one is chosen, or the one that was."""
        use_cache_folder()
        listed = listed_models()
        before = self.model.currentData() if wanted is None else wanted
        known = {one.entry.name for one in listed} | {OTHER}
        every = [(self.model.itemText(at), self.model.itemData(at)) for at in range(self.model.count())]
        self.model.clear()
        for text, data in every:
            if not isinstance(data, str) or data not in known:
                self.model.addItem(text, data)
        for one in listed:
            self.model.addItem(one.label, one.entry.name)
            self.model.setItemData(self.model.count() - 1, one.details, Qt.ItemDataRole.ToolTipRole)
        self.model.addItem(OTHER, OTHER)
        chosen = before or first_choice(listed, str(setting("model", "name")))
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))

    def list_sessions(self) -> None:
        """Offer the kept sessions of what is chosen, once they are found."""
        try:
            self.session.look_for(self._description(self.placement()))
        except InvalidInputError:
            self.session.look_for(None)

    def placement(self) -> FramePlacement:
        """Where the frames are, as it is chosen.

        Raises
        ------
        InvalidInputError
            No image is chosen, or axes that do not fit it.
        """
        image = self.chosen_image
        if image is None:
            raise InvalidInputError("There is no image in the viewer. Open one, or take a sample: File > Open Sample.")
        axes = self.axes.text()
        position = image.world_to_data(self._viewer.dims.point)
        at = {letter: round(float(value)) for letter, value in zip(axes, position, strict=False)}
        return FramePlacement.of(
            axes, shape_of(image), along=self.along.currentData(), plane=self.plane.currentData() or "yx", at=at
        )

    def choose_frames(self, described: Mapping[str, Any]) -> None:
        """Choose the frames that a session is of; see :func:`~sam2_napari.session_folders.description_of`."""
        image = self.chosen_image
        if image is None:
            return
        self.axes.setText(described["axes"])
        self._axes_chosen()
        self.choose_plane(described["plane"], described["along"])
        position = [float(described["at"].get(letter, 0)) for letter in described["axes"]]
        if len(position) == image.ndim:
            self._viewer.dims.point = tuple(image.data_to_world(position))

    def choose_plane(self, plane: str, along: str) -> None:
        """Choose what a frame shows and what frames are counted along, where the image has that."""
        self.plane.setCurrentIndex(max(0, self.plane.findData(plane)))
        self.along.setCurrentIndex(max(0, self.along.findData(along)))

    def request(self, *, is_new: bool = False) -> None:
        """Ask for the session, as soon as it is known which are kept; with `is_new` for none of those."""
        try:
            placement = self.placement()
            channels = _numbers(self.channels.text()) if "c" in placement.axes else None
        except InvalidInputError as error:
            self._failed(error)
            return
        image = self.chosen_image
        assert image is not None
        description = self._description(placement)
        if description != self.session.description:
            # the viewer was moved since: sessions that were offered are of other frames than those it shows now
            is_new = is_new or (self.session.currentData() is None and self.session.count() > 1)
            self.list_sessions()
        if is_new:
            self.session.setCurrentIndex(0)
        model, worker = self.model.currentData(), str(setting("model", "worker"))

        def begin() -> None:
            folder = self.session.currentData()
            self._start(SessionRequest(image, placement, channels, model, worker, description, folder))

        self.session.when_known(begin)

    def _description(self, placement: FramePlacement) -> dict[str, Any]:
        image = self.chosen_image
        assert image is not None
        source = image.metadata.get(SOURCE_KEY)
        address = source["path"] if source else (str(image.source.path) if image.source.path else None)
        return description_of(image.name, address, placement)

    def _image_chosen(self, _: Any = None) -> None:
        image = self.chosen_image
        self.axes.setText("" if image is None else axes_of(image))
        self._axes_chosen()

    def _axes_chosen(self) -> None:
        letters = [one for one in self.axes.text().lower() if one in "tzyx"]
        planes = [one for one in ("yx", "zx", "zy") if set(one) <= set(letters)]
        before = self.plane.currentData()
        self.plane.blockSignals(True)
        self.plane.clear()
        for plane in planes:
            self.plane.addItem(f"{plane[0]} and {plane[1]}", plane)
        self.plane.setCurrentIndex(max(0, planes.index(before) if before in planes else 0))
        self.plane.blockSignals(False)
        self._form.setRowVisible(self.plane, len(planes) > 1)
        self._form.setRowVisible(self.channels, "c" in self.axes.text().lower())
        self._plane_chosen()

    def _plane_chosen(self, _: Any = None) -> None:
        plane = self.plane.currentData() or "yx"
        left = [one for one in "ztyx" if one in self.axes.text().lower() and one not in plane]
        before = self.along.currentData()
        self.along.blockSignals(True)
        self.along.clear()
        for letter in left:
            self.along.addItem({"z": "z, slices", "t": "t, time"}.get(letter, letter), letter)
        if set(BOTH) <= set(left):
            self.along.addItem("t and z, volumes over time", BOTH)
            left.append(BOTH)
        self.along.setCurrentIndex(left.index(before) if before in left else 0)
        self.along.blockSignals(False)
        self._form.setRowVisible(self.along, len(left) > 0)
        self.list_sessions()

    def _model_chosen(self, _: int) -> None:
        if self.model.currentData() != OTHER:
            return
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights of a SAM 2 model", "", "Weights (*.pt *.pth *.safetensors)"
        )
        if path:
            self.model.insertItem(0, path.rsplit("/", 1)[-1], path)
        self.model.setCurrentIndex(0)

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open an image")
        if path:
            self._open_image(path)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open an OME-Zarr or a folder of pictures")
        if path:
            self._open_image(path)


def _numbers(text: str) -> tuple[int, ...] | None:
    parts = text.replace(",", " ").split()
    if not parts:
        return None
    if not all(part.isdigit() for part in parts):
        raise InvalidInputError(f"Channels are numbers from 0, such as 0, 2; got {text!r}.")
    return tuple(int(part) for part in parts)

"""Fine-tuning from the viewer: what to learn from, how and how long, and how it goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import Recipe, get_plugins
from sam2_core.session.job import Job
from sam2_core.session.training_record import TrainingRecord
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button, toggle
from sam2_napari.gui_thread import Gathered, OrderedWork
from sam2_napari.job_list import in_time
from sam2_napari.layer_labels import LabelsChoice, LayerLabels
from sam2_napari.model_list import listed_models
from sam2_napari.option_form import OptionForm, in_words
from sam2_napari.training_plot import TrainingPlot

#: What is chosen first.
FIRST_RECIPE, FIRST_BUDGET = "decoder", "5 min"
BUDGETS: Final = ("1 min", "5 min", "15 min", "1 h")
ACCEPTED, ALL = "accepted", "all"
#: Milliseconds between two looks at a training.
TRAINING_MS: Final = 200
PREVIEW_HEIGHT: Final = 220


class TrainingPanel(QWidget):
    """The model learns from the session's masks or from a Labels layer, and what it becomes is used from then on.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        # the network is imported and all labels are looked at before a training begins: clicks need not wait for that
        self._work = OrderedWork(annotation.gui, annotation.failed)
        self._soon = Gathered(annotation.gui, self._show, TRAINING_MS)
        self._job: Job | None = None
        self._is_beginning = False
        self._pictures = 0  # previews that were shown
        self.forms: dict[str, OptionForm] = {}
        self.model = QComboBox()
        self.model.setToolTip("The model in use. Another one that is on this machine can be taken at any time.")
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.source = LabelsChoice(annotation, {"Accepted masks (locked)": ACCEPTED, "All masks": ALL})
        self.source.setToolTip("What is true: masks of this session, or a Labels layer of the viewer.")
        self.recipe = QComboBox()
        self.options = toggle("Options…", "What the recipe leaves to be chosen.")
        self.budget = QComboBox()
        self.budget.setEditable(True)
        self.budget.addItems(BUDGETS)
        self.budget.setCurrentText(FIRST_BUDGET)
        self.budget.setToolTip('How long it may take, such as "5 min", "90 s" or "1.5 h".')
        self.name = QLineEdit()
        self.name.setPlaceholderText("made of image and recipe")
        self.name.setToolTip("Name of the new model in the list of models.")
        self.hold_back = QCheckBox("Hold one frame of five back, to measure on it")
        self.hold_back.setChecked(True)
        self.train = button("Fine-tune", self.begin, "Learn; the new model is used as soon as it is there.")
        self.stop = button("Stop", self._stop, "End it now, and keep the best so far.")
        self.cancel = button("Cancel", self._cancel, "End it now, and keep nothing.")
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.plot = TrainingPlot()
        self.preview = QLabel()
        # the picture is scaled to the dock, and must not make it wide in turn
        self.preview.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.preview.setToolTip("A frame that was held back: green is what the model said, red what is true.")
        self._caption = QLabel("Held back: the model's masks green, the true ones red, both yellow.")
        self._caption.setWordWrap(True)
        self._lay_out()
        self.options.toggled.connect(self._choose)
        self.recipe.currentIndexChanged.connect(self._choose)
        self.model.activated.connect(self._use_chosen)
        annotation.jobs_changed.connect(self._look)
        annotation.session.model_changed.connect(self._model_changed)
        annotation.closed.connect(self._let_go)
        self._show()

    def begin(self) -> None:
        """Begin a training, as it is chosen."""
        recipe = self.recipe.currentData()
        if recipe is None:
            self._annotation.say("The recipes are being loaded; try again in a moment.")
            return
        source = self.source.chosen
        given: dict[str, Any] = dict(self.forms[recipe].values)
        if isinstance(source, str):
            given["masks"] = source
        else:
            try:
                given["labels"] = LayerLabels(source, self._annotation.placement)
            except (InvalidInputError, InvalidTypeError) as error:
                self._annotation.failed(error)
                return
        name, budget = self.name.text().strip() or None, self.budget.currentText()
        held = None if self.hold_back.isChecked() else ()
        session = self._annotation.session
        self._is_beginning = True
        self._show()

        def work() -> None:
            try:
                session.start_train(recipe, budget, name=name, validation_frames=held, **given)
            finally:
                self._annotation.gui.call(self._begun)

        self._work.do(work)

    def showEvent(self, event: QShowEvent) -> None:
        """Load the recipes when somebody looks: they bring the network with them."""
        super().showEvent(event)
        if not self.forms and self.recipe.count() == 0:
            self.recipe.addItem("loading…", None)
            self._work.do(lambda: get_plugins().contributions(Recipe), then=self._list_recipes)
            self._list_models()

    def _lay_out(self) -> None:
        how = QHBoxLayout()
        how.addWidget(self.recipe, 1)
        how.addWidget(self.options)
        self._form = QFormLayout()
        self._form.addRow("Model", self.model)
        self._form.addRow("Learn from", self.source)
        self._form.addRow("Time", self.budget)
        self._form.addRow("Name", self.name)
        self._form.addRow("Recipe", how)
        row = QHBoxLayout()
        for widget in (self.train, self.stop, self.cancel):
            row.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(self.hold_back)
        layout.addLayout(row)
        for widget in (self.state, self.plot, self.preview, self._caption):
            layout.addWidget(widget)
        layout.addStretch(1)

    # Choices

    def _list_recipes(self, found: Any) -> None:
        self.recipe.clear()
        for name, registered in found.items():
            self.forms[name] = OptionForm(registered.contribution.train)
            self._form.addRow(self.forms[name])
            self.recipe.addItem(in_words(name), name)
            self.recipe.setItemData(
                self.recipe.count() - 1, registered.contribution.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.recipe.setCurrentIndex(max(0, self.recipe.findData(FIRST_RECIPE)))
        self._choose()

    def _choose(self, _: Any = None) -> None:
        chosen = self.forms.get(self.recipe.currentData())
        for form in self.forms.values():
            self._form.setRowVisible(form, form is chosen and self.options.isChecked() and not form.is_empty)

    def _list_models(self) -> None:
        self._work.do(listed_models, then=self._show_models)

    def _show_models(self, listed: list[Any]) -> None:
        used = self._annotation.session.model
        self.model.clear()
        here = [one for one in listed if one.is_here]
        if used is not None and used not in [one.entry.name for one in here]:
            self.model.addItem(model_name(used), used)
        for one in here:
            self.model.addItem(one.label, one.entry.name)
            self.model.setItemData(self.model.count() - 1, one.details, Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(
            next((at for at in range(self.model.count()) if self.model.itemData(at) == used), -1)
        )

    def _use_chosen(self, _: int) -> None:
        chosen, session = self.model.currentData(), self._annotation.session

        def work() -> None:
            try:
                session.use_model(chosen)
            except Exception:
                # what is chosen here is not what is used
                self._annotation.gui.call(self._list_models)
                raise

        if chosen != session.model:
            self._annotation.work.do(
                work, then=lambda _: self._annotation.say(f"{model_name(chosen)} is used from now on.")
            )

    def _model_changed(self) -> None:
        # in whichever thread
        self._annotation.gui.call(self._list_models)

    # The training

    def _stop(self) -> None:
        if self._job is not None:
            self._annotation.control.do(self._job.stop)

    def _cancel(self) -> None:
        if self._job is not None:
            self._annotation.control.do(self._job.cancel)

    def _begun(self) -> None:
        self._is_beginning = False
        self._show()

    def _look(self) -> None:
        """Show the training that was begun last, whoever began it."""
        latest = next((job for job in reversed(self._annotation.session.jobs) if job.training is not None), None)
        if latest is not self._job and latest is not None and latest.training is not None:
            self._job, self._pictures = latest, 0
            latest.training.changed.connect(self._soon.ask)
            latest.changed.connect(self._soon.ask)
        if latest is not None:
            self._soon.ask()

    def _show(self) -> None:
        job = self._job
        is_active = job is not None and job.is_active
        self.train.setEnabled(not is_active and not self._is_beginning)
        self.stop.setEnabled(is_active)
        self.cancel.setEnabled(is_active)
        record = None if job is None else job.training
        for widget in (self.plot, self.preview, self._caption):
            widget.setVisible(record is not None)
        if self._is_beginning:
            self.state.setText("Looking at the labels…")
            return
        if job is None or record is None:
            self.state.setText("")
            return
        self.state.setText(state_in_words(job, record))
        self.plot.show_curves(record.losses, record.ious)
        self._caption.setVisible(record.picture is not None)
        if record.picture is not None and record.pictures > self._pictures:
            self._pictures = record.pictures
            self._show_preview(record.picture)

    def _show_preview(self, picture: Any) -> None:
        height, width = picture.shape[:2]
        image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        smooth = Qt.TransformationMode.SmoothTransformation
        self.preview.setPixmap(
            QPixmap.fromImage(image).scaled(
                max(1, self.plot.width()), PREVIEW_HEIGHT, Qt.AspectRatioMode.KeepAspectRatio, smooth
            )
        )

    def _let_go(self, _: str = "") -> None:
        self._annotation.session.model_changed.disconnect(self._model_changed, missing_ok=True)
        self._work.close()


def state_in_words(job: Job, record: TrainingRecord) -> str:
    """How a training stands, for people to read."""
    gain = "" if record.best is None or record.before is None else f"{record.before:.3f} before, {record.best:.3f} now"
    if job.state == "done":
        used = "is used from now on" if record.is_used else "is ready"
        return f"{record.model} {used}{gain and f': one-click IoU {gain}'}."
    if job.state == "cancelled":
        return "Cancelled; nothing was kept."
    if job.state == "failed":
        return f"It failed: {job.error}"
    if record.is_stopping:
        return "Stopping after this step; the best so far is kept."
    begun = f"Step {record.step}" if record.step else f"Getting ready, from {Path(record.base).name}"
    left = "" if job.eta_seconds is None or not record.step else f", about {in_time(job.eta_seconds)} left"
    return f"{'Paused. ' if job.state == 'paused' else ''}{begun}{left}{gain and f'; one-click IoU {gain}'}."


def model_name(model: Any) -> str:
    """What a session's model is called."""
    return Path(model).name if isinstance(model, str | os.PathLike) else type(model).__name__

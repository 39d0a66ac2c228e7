"""Choosing how the model looks at frames, and how long tracking would take either way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from sam2_core.inference.preset_names import PRESET_WORDS, PRESETS, Preset
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.job_list import in_time

if TYPE_CHECKING:
    from sam2_core.session.job import Job


class PresetChoice(QWidget):
    """The session's preset, for clicks and tracking from now on; shows how long both would take once that was asked.

    `choice` and `ask` are laid out by whoever makes this.

    Parameters
    ----------
    annotation : Annotation
    propagation : callable
        Gives what would be propagated, as ``start_propagate`` takes it, or None.
    parent : QWidget, optional
    """

    def __init__(
        self, annotation: Annotation, propagation: Callable[[], dict[str, Any] | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._annotation, self._propagation = annotation, propagation
        self.choice = QComboBox()
        for name in PRESETS:
            words = PRESET_WORDS[name]
            self.choice.addItem(_begun(words.label), name)
            tip = f"{_begun(words.summary)}."
            self.choice.setItemData(self.choice.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.choice.setToolTip(
            "How the model looks at frames, for clicks and tracking from now on. Close-ups are for small objects in "
            "large frames. What was found one way can be corrected the other."
        )
        self.ask = button(
            "How long?",
            self.estimate,
            "Measure a step, and tell how long tracking would take either way. Nothing is changed.",
        )
        self.told = QLabel()
        self.told.setWordWrap(True)
        self.told.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.told)
        self.choice.activated.connect(self._choose)
        annotation.session.preset_changed.connect(self._changed)
        annotation.closed.connect(self._let_go)
        self.show_preset()

    def show_preset(self) -> None:
        """Choose what the session has."""
        self.choice.setCurrentIndex(self.choice.findData(self._annotation.session.preset))

    def estimate(self) -> None:
        """Ask how long it would take."""
        chosen = self._propagation()
        if chosen is not None:
            session = self._annotation.session
            self._annotation.work.do(
                lambda: session.start_estimate(**chosen),
                then=lambda job: self._annotation.when_done(job, self._show_estimate),
            )

    def _show_estimate(self, job: Job) -> None:
        self.told.setText(told(job.result))
        self.told.show()

    def _choose(self) -> None:
        wanted = self.choice.currentData()

        def work() -> None:
            try:
                self._annotation.session.preset = wanted
            finally:
                # a model may not be able to
                self._annotation.gui.call(self.show_preset)

        self._annotation.work.do(work)

    def _changed(self) -> None:
        # in whichever thread
        self._annotation.gui.call(self.show_preset)

    def _let_go(self, _: str = "") -> None:
        self._annotation.session.preset_changed.disconnect(self._changed, missing_ok=True)


def told(seconds: dict[Preset, float]) -> str:
    """How long it takes with each preset, for people to read; of close-ups that is the most."""
    known = [
        (_begun(PRESET_WORDS[name].label), "up to" if name == "crops" else "about", in_time(seconds[name]))
        for name in seconds
    ]
    return "\n".join(f"{text}: {most} {time}" for text, most, time in known) or "Nothing is known of how long it takes."


def _begun(text: str) -> str:
    """Begin a sentence with it."""
    return text[:1].upper() + text[1:]

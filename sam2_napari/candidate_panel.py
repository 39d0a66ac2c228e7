"""Everything on a frame: found once, and chosen anew whenever the thresholds are moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.candidate_preview import CandidatePreview
from sam2_napari.gui_thread import Gathered
from sam2_napari.option_form import OptionForm

if TYPE_CHECKING:
    from sam2_core.session.frame_candidates import FrameCandidates

#: The thresholds that can be moved afterwards.
THRESHOLDS: Final = ("pred_iou_thresh", "stability_score_thresh")
#: How far below the values of the form candidates are looked for, and kept.
ROOM: Final = 0.3
#: Milliseconds between two looks at moved thresholds.
CHOICE_MS: Final = 60


class CandidatePanel(QWidget):
    """Says how many masks pass the thresholds of a form, outlines them, and makes them the objects.

    Parameters
    ----------
    annotation : Annotation
    form : OptionForm
        With the thresholds.
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, form: OptionForm, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation, self._form = annotation, form
        self._candidates: FrameCandidates | None = None
        self._objects: set[int] = set()  # all that were ever made of these candidates
        self._applied: dict[str, float] = {}
        self.preview = CandidatePreview(annotation)
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.apply = button(
            "Apply",
            self.make_objects,
            "Make the outlined masks the objects; those that do not pass go, unless you have worked on them. One step.",
        )
        row = QHBoxLayout()
        row.addWidget(self.count, 1)
        row.addWidget(self.apply)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        self.hide()
        self._soon = Gathered(annotation.gui, self._choose, CHOICE_MS)
        for name in THRESHOLDS:
            form.widgets[name].changed.connect(lambda _: self._soon.ask())

    def find(self, *, track: bool = False) -> None:
        """Look for everything on this frame, make objects of what passes, and with `track` carry them both ways."""
        annotation, frame = self._annotation, self._annotation.frame
        if frame is None:
            annotation.say("The viewer shows no frame of this session.")
            return
        options = self._form.values
        options |= {name: round(max(0.0, options[name] - ROOM), 3) for name in THRESHOLDS}
        annotation.work.do(
            lambda: annotation.session.start_candidates(frame, **options),
            then=lambda job: annotation.when_done(job, lambda job: self._found(job.result, track)),
        )

    def make_objects(self, *, track: bool = False) -> None:
        """Make objects of the candidates that pass, in the place of those that earlier thresholds gave."""
        candidates, session = self._candidates, self._annotation.session
        if candidates is None:
            return
        thresholds, replaces = self._thresholds, sorted(self._objects)

        def made(ids: list[int]) -> None:
            if candidates is not self._candidates:
                return
            self._objects |= set(ids)
            self._applied = thresholds
            self.preview.hide()
            self._choose()
            self._annotation.say(f"{len(ids)} object{'s' * (len(ids) != 1)} on frame {candidates.frame}.")
            if track and ids:
                self._annotation.propagate(ids)

        self._annotation.work.do(lambda: session.add_candidates(candidates, **thresholds, replaces=replaces), then=made)

    @property
    def _thresholds(self) -> dict[str, float]:
        values = self._form.values
        return {name: float(values[name]) for name in THRESHOLDS}

    def _found(self, candidates: FrameCandidates, track: bool) -> None:
        self._candidates, self._objects = candidates, set()
        self.show()
        self.make_objects(track=track)

    def _choose(self) -> None:
        """Say what passes now, and outline it where it is not what the objects are."""
        candidates, thresholds = self._candidates, self._thresholds
        if candidates is None:
            return
        lowest = {name: float(candidates.options[name]) for name in THRESHOLDS}
        if any(thresholds[name] < lowest[name] for name in THRESHOLDS):
            self.preview.hide()
            self.apply.setEnabled(False)
            said = " and ".join(f"{value:g}" for value in lowest.values())
            self.count.setText(f"Lower than what was looked for ({said}): segment everything again.")
            return

        def choose() -> tuple[int, Any]:
            chosen = candidates.choose(*(thresholds[name] for name in THRESHOLDS))
            return len(chosen), candidates.labels(chosen, self._annotation.session.frame_size)

        def chosen(found: tuple[int, Any]) -> None:
            if candidates is not self._candidates or thresholds != self._thresholds:
                return
            count, labels = found
            is_new = thresholds != self._applied
            self.apply.setEnabled(is_new)
            self.count.setText(f"{count} of {len(candidates)} masks on frame {candidates.frame} pass.")
            if is_new:
                self.preview.show(candidates.frame, labels)
            else:
                self.preview.hide()

        self._annotation.work.do(choose, then=chosen)

"""Fine-tuning from the viewer: what is learned from, how it goes, and the new model at work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from tests.fake_training import FakeTraining, accept_some, fake_training
from tests.napari.hand import Hand, until
from tests.napari.scene import CELLS, FRAMES, cells, opened_dock

MODEL = "sam2.1_hiera_micro"


@pytest.fixture(scope="module")
def dock(viewer: Any) -> Iterator[Any]:
    viewer.add_image(cells(), name="cells", axis_labels=("z", "y", "x"))
    made = opened_dock(viewer)
    yield made
    made.close_session()


@pytest.fixture
def work(viewer: Any, dock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """A new session with the small model, its training panel in front; own models have a folder of their own."""
    import sam2_napari.dock as dock_module

    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path))
    real = dock_module.open_session
    monkeypatch.setattr(
        dock_module,
        "open_session",
        lambda request, report: real(type(request)(**{**vars(request), "worker": "thread"}), report),
    )
    dock.start.list_models(MODEL)
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    dock.workspace.tabs.setCurrentWidget(dock.workspace.training)
    until(lambda: dock.workspace.training.recipe.currentData() == "decoder")
    yield dock.workspace
    dock.close_session()


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    return fake_training(monkeypatch)


def told(dock: Any, text: str) -> None:
    until(lambda: text in dock.status.text(), why=lambda: f"but: {dock.status.text()}")


def accept(dock: Any) -> None:
    dock.annotation.work.do(lambda: accept_some(dock.annotation.session))
    until(lambda: [row.frames for row in dock.annotation.rows] == [3])


def test_a_training_shows_how_it_goes_and_stopped_keeps_the_best(dock: Any, work: Any, training: FakeTraining) -> None:
    panel, session = work.training, dock.annotation.session
    assert {panel.recipe.itemData(at) for at in range(panel.recipe.count())} >= {"decoder", "memory", "lora", "all"}
    assert not panel.stop.isEnabled()

    # nothing is there to learn from: it is said, and can be tried again
    panel.train.click()
    told(dock, "no accepted masks")
    until(panel.train.isEnabled)

    accept(dock)
    panel.recipe.setCurrentIndex(panel.recipe.findData("memory"))
    assert not panel.forms["memory"].isVisible()
    panel.options.click()
    assert panel.forms["memory"].isVisible()
    panel.forms["memory"].widgets["learning_rate"].value = 0.01
    panel.source.setCurrentText("All masks")
    panel.budget.setCurrentText("30 s")
    panel.hold_back.setChecked(False)
    panel.train.click()
    until(lambda: len(panel.plot.ious) == 2, why=lambda: dock.status.text())
    until(lambda: panel.plot.accessibleName() == "step 5: loss 0.200, one-click IoU 0.750")
    assert [step for step, _ in panel.plot.losses[:5]] == [1, 2, 3, 4, 5]
    assert "0.500 before, 0.750 now" in panel.state.text()
    assert "Step 5, about" in panel.state.text()
    picture = panel.preview.pixmap().toImage()
    assert picture.width() * 40 == pytest.approx(picture.height() * 60, abs=60)
    assert picture.pixelColor(5, 5).green() == 200
    assert not panel.train.isEnabled()
    (job,) = session.jobs.active
    until(lambda: work.jobs.rows[job.id].bar.value() == 5)
    assert "5 of 30 s" in work.jobs.rows[job.id].label.text()
    # nothing of it makes the dock wider than what is seen of it
    until(lambda: work.width() <= dock.width())

    panel.stop.click()
    until(lambda: "cells-memory is used from now on" in panel.state.text(), why=lambda: panel.state.text())
    assert session.model == "cells-memory"
    until(lambda: "with cells-memory" in work.title.text())
    until(lambda: panel.model.currentData() == "cells-memory")
    assert panel.train.isEnabled()
    (options,) = training.options
    assert (options["recipe"], options["budget"], options["learning_rate"]) == ("memory", 30.0, 0.01)
    assert options["validation_frames"] == ()
    assert options["steps"] is None
    assert options["replay"] == 0.25

    # and back to the model that it was
    panel.model.setCurrentIndex(panel.model.findData(MODEL))
    panel.model.activated.emit(panel.model.currentIndex())
    until(lambda: session.model == MODEL)
    until(lambda: f"with {MODEL}" in work.title.text())


def test_a_model_that_cannot_be_used_is_not_shown_as_the_one_in_use(
    dock: Any, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        raise InvalidInputError("the weights are damaged")

    panel, session = work.training, dock.annotation.session
    until(lambda: panel.model.currentData() == session.model)
    monkeypatch.setattr(session, "use_model", refuse)
    panel.model.addItem("damaged", "damaged")
    panel.model.setCurrentIndex(panel.model.count() - 1)
    panel.model.activated.emit(panel.model.currentIndex())
    told(dock, "the weights are damaged")
    until(lambda: panel.model.currentData() == session.model)


def test_a_training_that_is_cancelled_or_fails_changes_no_model(dock: Any, work: Any, training: FakeTraining) -> None:
    panel, session = work.training, dock.annotation.session
    accept(dock)
    panel.budget.setCurrentText("soon")
    panel.train.click()
    told(dock, "Cannot understand the budget")
    panel.budget.setCurrentText("30 s")
    until(panel.train.isEnabled)
    panel.train.click()
    until(lambda: len(panel.plot.ious) == 2)
    panel.cancel.click()
    until(lambda: "nothing was kept" in panel.state.text(), why=lambda: panel.state.text())

    training.error = MemoryError("no memory is left")
    panel.train.click()
    until(lambda: len(training.options) == 2 and panel.stop.isEnabled())
    training.gate.set()
    told(dock, "no memory is left")
    until(lambda: "no memory is left" in panel.state.text())
    assert session.model == MODEL


def test_a_labels_layer_is_learned_from_without_work_in_the_session(
    viewer: Any, dock: Any, work: Any, training: FakeTraining
) -> None:
    panel = work.training
    panel.source.setCurrentText("All masks")
    labels = np.zeros(cells().shape, np.int32)
    labels[:4, 30:50, 24:44] = 7
    layer, small = (
        viewer.add_labels(labels, name="by hand"),
        viewer.add_labels(np.ones((2, 4, 4), np.uint8), name="small"),
    )
    assert panel.source.chosen == "all"
    try:
        layer.name = "drawn by hand"
        panel.source.setCurrentText("small")
        panel.train.click()
        told(dock, "the size of the image")
        panel.source.setCurrentText("drawn by hand")
        assert panel.source.chosen is layer
        panel.train.click()
        until(lambda: len(panel.plot.ious) == 2, why=lambda: dock.status.text())
        (options,) = training.options
        # as the recipe has it, and not rounded to nothing by the form
        assert options["learning_rate"] == 2e-4
        np.testing.assert_array_equal([options["labels"].read(frame) for frame in range(FRAMES)], labels)
        panel.stop.click()
        until(lambda: "is used from now on" in panel.state.text())
        assert not dock.annotation.session.objects
    finally:
        for one in (layer, small):
            viewer.layers.remove(one)
    assert panel.source.chosen == "accepted"


def test_the_new_model_answers_the_next_click(viewer: Any, dock: Any, work: Any) -> None:
    """A real training, of two steps, on the left one of the cells."""
    panel, session = work.training, dock.annotation.session
    left = cells() > 90
    left[:, :, 50:] = False

    def paint() -> None:
        one = session.add_object()
        for frame in range(3):
            session.paint(one.id, frame, left[frame])

    dock.annotation.work.do(paint)
    dock.annotation.go_to_frame(0)
    until(lambda: dock.annotation.frame == 0 and [row.frames for row in dock.annotation.rows] == [3])
    panel.forms["decoder"].widgets["steps"].value = 2
    panel.forms["decoder"].widgets["views"].value = 1
    panel.forms["decoder"].widgets["replay"].value = 0.0
    # measuring takes longer than two steps
    panel.hold_back.setChecked(False)
    panel.name.setText("my-cells")
    panel.train.click()
    until(lambda: session.model == "my-cells", 600, why=lambda: f"{dock.status.text()} {panel.state.text()}")
    until(lambda: panel.model.currentData() == "my-cells")
    until(lambda: "my-cells is used from now on" in panel.state.text())
    assert panel.model.currentText() == "my-cells"

    dock.annotation.select(None)
    Hand(viewer).click(*CELLS[1])
    until(lambda: len(dock.annotation.rows) == 2 and dock.annotation.rows[1].is_here, why=lambda: dock.status.text())
    assert session.mask(2, 0)[CELLS[1][1], CELLS[1][0]]
    dock.close_session()
    assert dock.start.model.currentData() == "my-cells"

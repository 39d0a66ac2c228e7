"""A z-stack in a real viewer, worked on with mouse and keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from sam2_core.hooks import Drawn, ObjectPrompt, PromptType, get_plugins, hookimpl
from tests.napari.hand import Hand, until
from tests.napari.scene import CELLS, FRAMES, cells, micro_model, opened_dock


class CrossPlugin:
    """A prompt type of somebody else's: four clicks around the one that is drawn."""

    @hookimpl
    def sam2_prompt_types(self) -> list[PromptType]:
        def to_prompts(drawn: Drawn, context: Any, *, reach: float = 3.0) -> list[ObjectPrompt]:
            x, y = drawn.points[0].tolist()
            points = [(x - reach, y), (x + reach, y), (x, y - reach), (x, y + reach)]
            return [ObjectPrompt(points=points, labels=[int(drawn.positive)] * 4)]

        return [PromptType("cross", "four clicks", gesture="point", to_prompts=to_prompts, key="x")]


@pytest.fixture(scope="module")
def dock(viewer: Any) -> Iterator[Any]:
    get_plugins().register(CrossPlugin(), name="cross-plugin")
    model = micro_model()
    viewer.add_image(cells(), name="cells", axis_labels=("z", "y", "x"), scale=(2.0, 0.5, 0.5), units="um")
    made = opened_dock(viewer, model)
    yield made
    made.close_session()
    get_plugins().unregister("cross-plugin")


@pytest.fixture
def work(viewer: Any, dock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A new session on the first frame."""
    import sam2_napari.dock as dock_module

    real = dock_module.open_session
    monkeypatch.setattr(
        dock_module,
        "open_session",
        lambda request, report: real(type(request)(**{**vars(request), "worker": "thread"}), report),
    )
    dock.start.session.setCurrentIndex(0)
    viewer.dims.set_point(0, 0.0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    yield dock.workspace
    dock.close_session()


@pytest.fixture
def hand(viewer: Any) -> Hand:
    return Hand(viewer)


def rows(dock: Any) -> list[Any]:
    return dock.annotation.rows if dock.annotation is not None else []


def test_clicks_make_masks_that_can_be_corrected_and_undone(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation = dock.annotation
    session = annotation.session

    hand.click(*CELLS[0])
    until(lambda: [row.is_here for row in rows(dock)] == [True], why=lambda: dock.status.text())

    assert session.mask(1, 0)[CELLS[0][1], CELLS[0][0]]
    np.testing.assert_array_equal(annotation.layer._slice.image.raw, session.labels(0))
    assert len(annotation.prompts.points.data) == 1
    # where it was clicked, to the pixel of the screen
    assert session.prompt(1, 0).points[0] == pytest.approx(CELLS[0], abs=0.5)

    # the right button says "not this"
    hand.click(CELLS[1][0], CELLS[1][1], button=Qt.MouseButton.RightButton)
    until(lambda: len(session.prompt(1, 0).points) == 2)
    assert session.prompt(1, 0).labels == (1, 0)

    hand.key(Qt.Key.Key_C)
    hand.click(*CELLS[1])
    until(lambda: len(rows(dock)) == 2 and rows(dock)[1].is_here)
    assert annotation.current == 2
    until(lambda: len(annotation.prompts.points.data) == 1)

    # its prompts come back with an object
    work.table.view.selectRow(0)
    until(lambda: len(annotation.prompts.points.data) == 2)
    assert annotation.prompts.points.features["label"].tolist() == [1, 0]

    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: session.prompt(2, 0).is_empty)
    hand.key(Qt.Key.Key_Z, "Control-Shift")
    until(lambda: not session.prompt(2, 0).is_empty)


def test_every_gesture(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    session = dock.annotation.session
    (x, y), around = CELLS[0], 14

    hand.key(Qt.Key.Key_B)
    hand.drag([(x - around, y - around), (x, y), (x + around, y + around)])
    until(lambda: len(rows(dock)) == 1 and rows(dock)[0].is_here, why=lambda: dock.status.text())
    assert session.prompt(1, 0).box == pytest.approx((x - around, y - around, x + around, y + around), abs=0.7)
    assert session.mask(1, 0)[y, x]
    until(lambda: dock.annotation.prompts.shapes.nshapes == 1)

    # another tool, chosen by its button, and an outline corner by corner
    hand.key(Qt.Key.Key_C)
    work.tools.buttons["polygon"].click()
    x, y = CELLS[1]
    for corner in ((x - 8, y - 8), (x + 8, y - 8), (x + 8, y + 8), (x - 8, y + 8)):
        hand.click(*corner)
    hand.key(Qt.Key.Key_Return)
    until(lambda: len(rows(dock)) == 2 and rows(dock)[1].is_here, why=lambda: dock.status.text())
    assert session.record(2, 0).area == pytest.approx(17 * 17, abs=40)

    # its first corner says what it means: with Alt, what is not the object
    for corner in ((x - 8, y - 8), (x, y - 8), (x, y + 8), (x - 8, y + 8)):
        hand.click(*corner, modifiers="Alt")
    hand.key(Qt.Key.Key_Return)
    until(lambda: session.record(2, 0).area < 10 * 17, why=lambda: dock.status.text())

    # the brush, at the size that is chosen
    hand.key(Qt.Key.Key_C)
    work.tools.buttons["mask"].click()
    work.tools.brush.setValue(6)
    hand.drag([(10, 80), (30, 80)])
    until(lambda: len(rows(dock)) == 3 and rows(dock)[2].is_here, why=lambda: dock.status.text())
    assert session.mask(3, 0)[80, 20]
    assert session.record(3, 0).area == pytest.approx(6 * 20 + 28, abs=30)

    hand.key(Qt.Key.Key_C)
    work.tools.buttons["scribble"].click()
    hand.drag([(x - 5, y), (x, y), (x + 5, y)])
    until(lambda: len(rows(dock)) == 4)
    hand.key(Qt.Key.Key_C)
    work.tools.buttons["lasso"].click()
    hand.drag([(20, 26), (48, 26), (48, 54), (20, 54)])
    until(lambda: len(rows(dock)) == 5)
    assert session.prompt(5, 0).box is not None

    # a plugin's prompt type: button, form and key come from what it says of itself
    hand.key(Qt.Key.Key_C)
    hand.key(Qt.Key.Key_X)
    assert work.tools.buttons["cross"].isChecked()
    work.tools.forms["cross"].widgets["reach"].value = 2.0
    hand.click(*CELLS[0])
    until(lambda: len(rows(dock)) == 6)
    (left, _), (right, _) = session.prompt(6, 0).points[:2]
    assert right - left == pytest.approx(4.0)

    # a click where a drag is wanted changes nothing, and says so
    hand.key(Qt.Key.Key_B)
    hand.click(50, 20)
    assert "Drag to draw a box" in dock.status.text()
    assert len(session.objects) == 6


def test_tracking_shows_masks_as_they_come_and_is_one_step(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation = dock.annotation
    session = annotation.session
    for cell in CELLS:
        hand.click(*cell)
        until(lambda: rows(dock) and rows(dock)[-1].is_here, why=lambda: dock.status.text())
        hand.key(Qt.Key.Key_C)
        until(lambda: annotation.current is None)
    until(lambda: len(rows(dock)) == 2)

    hand.key(Qt.Key.Key_S, "Shift")
    until(lambda: [row.frames for row in rows(dock)] == [FRAMES, FRAMES], why=lambda: dock.status.text())

    viewer.dims.set_point(0, 2.0 * 3)
    until(lambda: annotation.frame == 3)
    np.testing.assert_array_equal(annotation.layer._slice.image.raw, session.labels(3))
    np.testing.assert_array_equal(np.asarray(annotation.layer.data), [session.labels(one) for one in range(FRAMES)])

    # correct a frame, lock it
    annotation.select(1)
    hand.key(Qt.Key.Key_K)
    until(lambda: session.record(1, 3).locked)
    until(lambda: rows(dock)[0].is_locked)

    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: not session.record(1, 3).locked)
    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: [row.frames for row in rows(dock)] == [1, 1])
    assert not annotation.layer._slice.image.raw.any()


def test_close_ups_are_chosen_after_hearing_how_long_it_takes(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    session, panel = dock.annotation.session, work.propagation
    hand.click(*CELLS[0])
    until(lambda: rows(dock) and rows(dock)[-1].is_here, why=lambda: dock.status.text())

    assert panel.preset.choice.currentText() == "Whole frames"
    assert not panel.preset.told.isVisible()
    panel.preset.ask.click()
    until(lambda: panel.preset.told.isVisible(), why=lambda: dock.status.text())
    whole, close = panel.preset.told.text().splitlines()
    assert whole.startswith("Whole frames: about ")
    assert close.startswith("A close-up of each object: up to ")

    panel.preset.choice.setCurrentIndex(1)
    panel.preset.choice.activated.emit(1)
    until(lambda: session.preset == "crops")
    panel.start.click()
    until(lambda: [row.frames for row in rows(dock)] == [FRAMES], why=lambda: dock.status.text())
    assert all(session.mask(1, frame)[CELLS[0][1], CELLS[0][0] - frame] for frame in range(FRAMES))

    # what is set from a script is shown
    session.preset = "exact"
    until(lambda: panel.preset.choice.currentIndex() == 0)


def test_a_model_that_cannot_do_close_ups_keeps_to_whole_frames(
    dock: Any, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dock.annotation.session.model, "joint_objects", True)
    choice = work.propagation.preset.choice
    choice.setCurrentIndex(1)
    choice.activated.emit(1)
    until(lambda: "whole frames" in dock.status.text() or "exact" in dock.status.text(), why=lambda: dock.status.text())
    until(lambda: choice.currentIndex() == 0)
    assert dock.annotation.session.preset == "exact"


def test_objects_are_named_merged_split_and_deleted(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation, session, table = dock.annotation, dock.annotation.session, work.table
    for cell in CELLS:
        hand.click(*cell)
        until(lambda: rows(dock) and rows(dock)[-1].is_here, why=lambda: dock.status.text())
        hand.key(Qt.Key.Key_C)
    until(lambda: len(rows(dock)) == 2)

    table.model.setData(table.model.index(0, 3), "nucleus A")
    table.model.setData(table.model.index(0, 4), "mitotic")
    until(lambda: rows(dock)[0].name == "nucleus A" and rows(dock)[0].category == "mitotic")

    hand.key(Qt.Key.Key_N)
    assert annotation.current == 1
    hand.key(Qt.Key.Key_N)
    assert annotation.current == 2

    # hidden objects stay objects
    table.model.setData(table.model.index(0, 0), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    assert annotation.layer.get_color(1)[3] == 0
    table.model.setData(table.model.index(0, 0), Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    assert annotation.layer.get_color(1)[3] == 1

    table.view.selectAll()
    table.merge.click()
    until(lambda: len(rows(dock)) == 1)
    kept = rows(dock)[0].id
    assert all(session.mask(kept, 0)[y, x] for x, y in CELLS)
    table.split.click()
    until(lambda: len(rows(dock)) == 2)
    table.view.selectAll()
    table.delete.click()
    until(lambda: len(rows(dock)) == 0)
    until(lambda: not annotation.layer._slice.image.raw.any())


def test_clicks_are_moved_and_deleted_in_their_layer(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation, session = dock.annotation, dock.annotation.session
    hand.click(*CELLS[0])
    until(lambda: len(annotation.prompts.points.data) == 1)

    moved = annotation.prompts.points.data.copy()
    moved[0, -1] += 3
    annotation.prompts.points.data = moved
    until(lambda: session.prompt(1, 0).points[0][0] == pytest.approx(moved[0, -1]))
    # one added there belongs to the object, whatever the last click said
    hand.click(80, 20, button=Qt.MouseButton.RightButton)
    until(lambda: len(annotation.prompts.points.data) == 2)
    annotation.prompts.points.add([0, 42, 36])
    until(lambda: session.prompt(1, 0).labels == (1, 0, 1), why=lambda: dock.status.text())
    annotation.prompts.points.selected_data = {0, 1, 2}
    annotation.prompts.points.remove_selected()
    until(lambda: session.prompt(1, 0).is_empty)


def test_the_brush_of_the_layer_paints_a_locked_mask(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation, session = dock.annotation, dock.annotation.session
    hand.click(*CELLS[0])
    until(lambda: len(rows(dock)) == 1 and rows(dock)[0].is_here)
    before = session.record(1, 0).area

    hand.key(Qt.Key.Key_Z)
    annotation.layer.mode = "paint"
    annotation.layer.brush_size = 5
    hand.drag([(80, 10), (85, 10)])
    until(lambda: session.record(1, 0).source == "paint", why=lambda: dock.status.text())

    assert session.record(1, 0).locked
    assert session.record(1, 0).area > before
    assert session.mask(1, 0)[10, 82]
    # one undo, the session's: napari's own history of the layer is empty
    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: session.record(1, 0).source == "prompt")
    until(lambda: not annotation.layer._slice.image.raw[10, 82])


def test_labels_of_other_software_are_a_start(viewer: Any, dock: Any, work: Any) -> None:
    labels = np.zeros(cells().shape, np.uint16)
    labels[:, 35:45, 30:40] = 7
    layer = viewer.add_labels(labels, name="cellpose")
    try:
        work.everything.layers.setCurrentText("cellpose")
        work.everything.take.click()
        until(lambda: [row.frames for row in rows(dock)] == [FRAMES], why=lambda: dock.status.text())
    finally:
        viewer.layers.remove(layer)

    # of another size they are refused, and nothing is changed
    layer = viewer.add_labels(np.ones((2, 4, 4), np.uint8), name="small")
    try:
        work.everything.layers.setCurrentText("small")
        work.everything.take.click()
        assert "the size of the image" in dock.status.text()
        assert len(dock.annotation.session.objects) == 1
    finally:
        viewer.layers.remove(layer)


def test_saving_and_continuing(viewer: Any, dock: Any, work: Any, hand: Hand, tmp_path: Path) -> None:
    from sam2_core.volumes import open_labels

    session = dock.annotation.session
    hand.click(*CELLS[0])
    until(lambda: len(rows(dock)) == 1 and rows(dock)[0].is_here)
    work.save.format.setCurrentIndex(work.save.format.findData("tiff"))
    work.save.export_to(str(tmp_path / "cells.tif"))
    until(lambda: (tmp_path / "cells.tif").exists(), why=lambda: dock.status.text())
    until(lambda: not dock.annotation.session.jobs.active)
    work.save.measure_to(str(tmp_path / "cells.csv"))
    until(lambda: (tmp_path / "cells.csv").exists())
    with open_labels(tmp_path / "cells.tif") as written:
        np.testing.assert_array_equal(written.read(0), session.labels(0))

    # its layer is deleted in the middle of the work: the session closes, and is offered again
    viewer.layers.remove(dock.annotation.layer)
    until(lambda: dock.annotation is None)
    assert "continued" in dock.status.text()
    until(lambda: dock.start.session.currentData() == session.folder)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    until(lambda: [row.id for row in rows(dock)] == [1], why=lambda: dock.status.text())


def test_three_dimensions_show_a_small_copy(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation = dock.annotation
    hand.click(*CELLS[0])
    until(lambda: len(rows(dock)) == 1 and rows(dock)[0].is_here)

    viewer.dims.ndisplay = 3
    try:
        assert not annotation.layer.visible
        until(lambda: len(dock.companion.layers) == 1)
        (copy,) = dock.companion.layers
        assert copy.data.any()
        assert not copy.editable
    finally:
        viewer.dims.ndisplay = 2
    assert annotation.layer.visible
    assert copy not in viewer.layers


def test_a_click_has_its_place_in_every_plane(viewer: Any, dock: Any, work: Any, hand: Hand) -> None:
    annotation, session = dock.annotation, dock.annotation.session
    viewer.dims.order = (1, 0, 2)  # z and x are shown
    try:
        viewer.dims.set_point(1, 0.5 * CELLS[0][1])
        viewer.reset_view()
        hand.key(Qt.Key.Key_B)
        layer = annotation.layer

        def place(*_: float) -> QPoint:
            view = hand._canvas.view
            corners = [
                np.asarray(hand._canvas._map_canvas2world(one, view))[[0, 2]] for one in ((0, 0), (100, 0), (0, 100))
            ]
            matrix = np.stack([(corners[1] - corners[0]) / 100, (corners[2] - corners[0]) / 100], axis=1)
            world = np.asarray(layer.data_to_world([2, CELLS[0][1], 32]))[[0, 2]]
            return QPoint(*(round(float(one)) for one in np.linalg.solve(matrix, world - corners[0])))

        hand.place = place  # type: ignore[method-assign]
        hand.drag([(0, 0), (0, 0)])
        assert "is drawn on a frame" in dock.status.text()
        hand.key(Qt.Key.Key_P)
        hand.click(0, 0)
        until(lambda: session.objects and not session.prompt(1, 2).is_empty, why=lambda: dock.status.text())
        assert session.prompt(1, 2).points[0] == pytest.approx((32, CELLS[0][1]), abs=1)
    finally:
        viewer.dims.order = (0, 1, 2)
        viewer.reset_view()


def test_closing_the_dock_closes_the_session(viewer: Any, dock: Any) -> None:
    layers, keys = list(viewer.layers), set(viewer.keymap)
    other = type(dock)(viewer)
    around = viewer.window.add_dock_widget(other, name="another")
    other.start.model.addItem("none", None)
    other.start.model.setCurrentIndex(other.start.model.count() - 1)
    other.start.session.setCurrentIndex(0)
    other.start.begin.click()
    until(lambda: other.annotation is not None, why=lambda: other.status.text())
    annotation = other.annotation
    assert len(viewer.layers) > len(layers)
    assert len(viewer.keymap) > len(keys)

    around.destroyOnClose()
    until(lambda: annotation.closing is not None and annotation.closing.done())
    assert list(viewer.layers) == layers
    assert set(viewer.keymap) == keys

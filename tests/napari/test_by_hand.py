"""Every kind of image in a real viewer, worked on with the mouse, keys and buttons alone."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from sam2_core.hooks import get_plugins
from tests.napari.hand import Hand, until
from tests.napari.scene import CELLS, FRAMES, cells, micro_model, opened_dock

TEMPLATE = Path(__file__).parents[2] / "examples" / "plugin-template" / "src" / "sam2_plugin_template"
(X, Y), OTHER = CELLS


@pytest.fixture(scope="module")
def template() -> Iterator[None]:
    """The template for plugin authors as it is, found as if it were installed."""
    spec = importlib.util.spec_from_file_location(TEMPLATE.name, TEMPLATE / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TEMPLATE.parent))
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, TEMPLATE.name, module)
        spec.loader.exec_module(module)
        get_plugins().register(module, name="template")
        yield
        get_plugins().unregister("template")


@pytest.fixture(scope="module")
def dock(viewer: Any, template: None) -> Any:
    return opened_dock(viewer, micro_model())


@pytest.fixture(autouse=True)
def _clean(viewer: Any, dock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: "thread" if name == "worker" else "")
    yield
    dock.close_session()
    viewer.layers.clear()
    viewer.dims.order = tuple(range(viewer.dims.ndim))


@pytest.fixture
def hand(viewer: Any) -> Hand:
    return Hand(viewer)


def begun(dock: Any, image: np.ndarray, axes: str, along: str = "", channels: str = "", **layer: Any) -> Any:
    """A new session, begun with what the dock offers."""
    viewer = dock.viewer
    viewer.add_image(image, name="image", axis_labels=tuple(axes), **layer)
    viewer.reset_view()
    if along:
        dock.start.along.setCurrentIndex(dock.start.along.findData(along))
    dock.start.channels.setText(channels)
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    return dock.annotation


def frames(annotation: Any) -> list[int]:
    """On how many frames each object is, as the table says."""
    return [row.frames for row in annotation.rows]


def step_to(annotation: Any, dimension: int, index: int, frame: int) -> None:
    """Move a slider."""
    annotation.viewer.dims.set_point(dimension, annotation.layer.scale[dimension] * index)
    until(lambda: annotation.frame == frame)


def test_a_picture_that_lies_askew(dock: Any, hand: Hand) -> None:
    annotation = begun(dock, cells(1)[0], "yx", scale=(0.5, 0.5), translate=(7.0, -3.0), rotate=20, shear=[0.2])
    hand.click(X, Y)
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())

    assert annotation.session.prompt(1, 0).points[0] == pytest.approx((X, Y), abs=0.6)
    assert annotation.session.mask(1, 0)[Y, X]
    np.testing.assert_array_equal(np.asarray(annotation.layer.data), annotation.session.labels(0))
    # what is added lies on the image
    for layer in annotation.layers:
        np.testing.assert_allclose(layer.data_to_world((10, 20)), annotation.image.data_to_world((10, 20)))


def test_two_of_five_channels(dock: Any, hand: Hand) -> None:
    image = np.stack([np.zeros_like(cells(1)[0])] * 2 + [cells(1)[0], cells(1)[0]] + [np.zeros_like(cells(1)[0])])
    annotation = begun(dock, image, "cyx", channels="2, 3")
    assert annotation.session.stack.channel_count == 2
    hand.click(X, Y)
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())

    assert annotation.session.mask(1, 0)[Y, X]
    # objects are the same in all channels
    np.testing.assert_array_equal(np.asarray(annotation.layer.data), [annotation.session.labels(0)] * 5)


def test_a_division_in_a_time_lapse(dock: Any, hand: Hand) -> None:
    annotation = begun(dock, cells(), "tyx")
    hand.click(X, Y)
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())
    step_to(annotation, 0, 1, 1)
    hand.key(Qt.Key.Key_D)
    until(lambda: [row.parents for row in annotation.rows] == [(), (1,), (1,)])
    until(lambda: annotation.current == 2)
    hand.click(X - 1, Y)
    until(lambda: frames(annotation) == [1, 1, 0], why=lambda: dock.status.text())
    hand.key(Qt.Key.Key_N)
    until(lambda: annotation.current == 3)
    hand.click(OTHER[0] + 1, OTHER[1])
    until(lambda: frames(annotation) == [1, 1, 1], why=lambda: dock.status.text())

    # the daughters only, to the end
    table, track = dock.workspace.table, dock.workspace.propagation
    table._select({2, 3})
    track.objects.setCurrentText("Selected objects")
    track.how.setCurrentIndex(track.how.findData("forward"))
    hand.key(Qt.Key.Key_S, "Shift")
    until(lambda: frames(annotation) == [1, FRAMES - 1, FRAMES - 1], why=lambda: dock.status.text())
    until(lambda: dock.lineage.layer is not None and dock.lineage.layer.graph == {2: [1], 3: [1]})
    until(lambda: len(dock.lineage.layer.data) == 1 + 2 * (FRAMES - 1))

    # one undo for each thing that was done
    for expected in ([1, 1, 1], [1, 1, 0], [1, 0, 0], [1]):
        hand.key(Qt.Key.Key_Z, "Control")
        # a click and its answer are one step
        until(lambda expected=expected: frames(annotation) == expected, why=lambda: str(frames(annotation)))


def test_volumes_over_time(dock: Any, hand: Hand) -> None:
    film = np.stack([np.stack([one] * 3) for one in cells(3)])  # t, z, y, x
    annotation = begun(dock, film, "tzyx", "tz", scale=(1, 2.0, 0.5, 0.5))
    step_to(annotation, 0, 0, annotation.frame % 3)
    step_to(annotation, 1, 1, 1)
    hand.click(X, Y)
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())
    hand.key(Qt.Key.Key_S, "Shift")
    until(lambda: frames(annotation) == [3], why=lambda: dock.status.text())
    dock.workspace.propagation.carrying.start.click()
    until(lambda: frames(annotation) == [9], why=lambda: dock.status.text())
    step_to(annotation, 0, 2, 7)
    assert annotation.session.labels(7)[Y, X - 2] == 1
    until(lambda: np.array_equal(annotation.layer._slice.image.raw, annotation.session.labels(7)))
    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: frames(annotation) == [3])


def test_a_box_on_frames_of_another_plane(viewer: Any, dock: Any, hand: Hand) -> None:
    # the two cells as seen from the side
    viewer.add_image(cells(1)[0][:, None].repeat(4, 1), name="image", axis_labels=("z", "y", "x"))
    dock.start.plane.setCurrentIndex(dock.start.plane.findData("zx"))
    dock.start.session.setCurrentIndex(0)
    viewer.dims.order = (1, 0, 2)
    viewer.reset_view()
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    annotation = dock.annotation
    step_to(annotation, 1, 2, 2)

    def place(x: float, z: float) -> QPoint:
        view = hand._canvas.view
        corners = [
            np.asarray(hand._canvas._map_canvas2world(one, view))[[0, 2]] for one in ((0, 0), (100, 0), (0, 100))
        ]
        matrix = np.stack([(corners[1] - corners[0]) / 100, (corners[2] - corners[0]) / 100], axis=1)
        across, down = np.linalg.solve(matrix, np.array([z, x]) - corners[0])
        return QPoint(round(float(across)), round(float(down)))

    hand.place = place  # type: ignore[method-assign]
    hand.key(Qt.Key.Key_B)
    hand.drag([(X - 14, Y - 14), (X, Y), (X + 14, Y + 14)])
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())
    assert annotation.session.prompt(1, 2).box == pytest.approx((X - 14, Y - 14, X + 14, Y + 14), abs=0.8)
    assert annotation.session.mask(1, 2)[Y, X]
    assert np.asarray(annotation.layer.data)[Y, 2, X] == 1


def test_a_correction_changes_what_it_affects_and_nothing_else(dock: Any, hand: Hand) -> None:
    annotation = begun(dock, cells(), "zyx")
    session, track = annotation.session, dock.workspace.propagation
    step_to(annotation, 0, 0, 0)
    hand.click(X, Y)
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())
    hand.key(Qt.Key.Key_S, "Shift")
    until(lambda: frames(annotation) == [FRAMES], why=lambda: dock.status.text())
    until(lambda: not session.jobs.active)
    step_to(annotation, 0, 4, 4)
    hand.key(Qt.Key.Key_K)
    until(lambda: annotation.rows[0].is_locked)
    before = [session.mask(1, frame).copy() for frame in range(FRAMES)]

    step_to(annotation, 0, 2, 2)
    hand.click(OTHER[0] + 2, OTHER[1], button=Qt.MouseButton.RightButton)
    until(lambda: session.record(1, 2).source == "prompt", why=lambda: dock.status.text())
    until(lambda: not session.jobs.active)
    track.how.setCurrentIndex(track.how.findData("between-corrections"))
    hand.key(Qt.Key.Key_S, "Shift")
    until(lambda: session.jobs[-1].kind == "propagate" and session.jobs[-1].state == "done" and len(session.jobs) > 3)
    # from the corrections to the next frames that are said for certain, and no farther
    gone_over = set(session.jobs[-1].result)
    assert {1, 3} <= gone_over
    assert 5 not in gone_over
    for frame in (0, 4, 5):
        np.testing.assert_array_equal(session.mask(1, frame), before[frame])
    assert session.record(1, 4).locked


def test_doubtful_masks_are_gone_through_with_keys(dock: Any, hand: Hand) -> None:
    annotation = begun(dock, cells(), "zyx")
    session, review = annotation.session, dock.workspace.review

    labels = np.zeros(cells().shape, np.uint8)
    for frame in range(FRAMES):
        # far away on one frame, and very large on another one
        side, shift = (40, 0) if frame == 4 else (12, 50 if frame == 2 else 0)
        labels[frame, 20 : 20 + side, 20 + shift : 20 + side + shift] = 1
    layer = dock.viewer.add_labels(labels, name="jumps")
    dock.workspace.everything.layers.setCurrentText("jumps")
    dock.workspace.everything.take.click()
    until(lambda: "1 object from jumps" in dock.status.text(), why=lambda: dock.status.text())
    until(lambda: frames(annotation) == [FRAMES])
    dock.viewer.layers.remove(layer)
    dock.viewer.layers.selection.active = annotation.layer

    def left() -> int:
        text = review.left.text()
        return 0 if text.startswith("No mask") else int(text.split()[0])

    hand.key(Qt.Key.Key_R)
    until(lambda: "masks to look at" in review.left.text(), why=lambda: f"{dock.status.text()} {review.left.text()}")
    count = left()
    assert count > 1
    worst = review.items[0]
    until(lambda: annotation.frame == worst.frame and annotation.current == worst.object_id)
    # the next one without a word on this one
    hand.key(Qt.Key.Key_R)
    until(lambda: annotation.frame == review.items[1].frame)
    assert left() == count
    # accepted ones are locked, and do not come again: the next one is shown
    for number in range(1, count + 1):
        hand.key(Qt.Key.Key_A)
        until(lambda number=number: left() == count - number, why=lambda: review.left.text())
    assert sum(session.record(1, frame).locked for frame in range(FRAMES)) == count


def test_everything_is_found_and_one_is_mended_by_a_click(dock: Any, hand: Hand) -> None:
    annotation = begun(dock, cells(1)[0], "yx")
    panel = dock.workspace.everything
    for name, value in {"points_per_side": 6, "pred_iou_thresh": 0.5, "stability_score_thresh": 0.6}.items():
        panel.form.widgets[name].value = value
    panel.find.click()
    until(lambda: len(annotation.rows) > 0, why=lambda: dock.status.text())
    until(lambda: not annotation.session.jobs.active)
    dock.workspace.table.view.selectRow(0)
    until(lambda: annotation.current == annotation.rows[0].id)
    one = annotation.current
    before = annotation.session.record(one, 0)
    hand.click(X, Y)
    until(lambda: annotation.session.record(one, 0) != before, why=lambda: dock.status.text())
    assert annotation.session.mask(one, 0)[Y, X]


def test_the_prompt_type_of_the_template_is_a_tool_like_any_other(dock: Any, hand: Hand) -> None:
    annotation = begun(dock, cells(1)[0], "yx")
    tools = dock.workspace.tools
    assert "Ellipse" in tools.buttons["ellipse"].text()
    tools.buttons["ellipse"].click()
    until(lambda: tools.forms["ellipse"].isVisible(), why=lambda: dock.status.text())
    tools.forms["ellipse"].widgets["size"].value = 0.8
    hand.drag([(X - 15, Y - 15), (X, Y), (X + 15, Y + 15)])
    until(lambda: frames(annotation) == [1], why=lambda: dock.status.text())
    assert annotation.session.record(1, 0).area == pytest.approx(np.pi * 12**2, rel=0.5)

    # what it refuses is told as it says it
    hand.key(Qt.Key.Key_C)
    hand.drag([(X - 15, Y - 15), (X, Y), (X + 15, Y + 15)], modifiers="Alt")
    until(lambda: "An ellipse says where the object is" in dock.status.text(), why=lambda: dock.status.text())
    assert len(annotation.session.objects) == 1

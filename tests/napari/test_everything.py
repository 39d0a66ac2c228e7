"""Everything on a frame in a real viewer: found, chosen anew with other thresholds, tracked, undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from tests.napari.hand import Hand, until
from tests.napari.scene import FRAMES, cells, micro_model, opened_dock

#: (predicted IoU, stability): all that is found, and what passes of it.
LOW, HIGH = (0.5, 0.6), (0.58, 0.7)


@pytest.fixture(scope="module")
def dock(viewer: Any) -> Any:
    viewer.add_image(cells(), name="cells", axis_labels=("z", "y", "x"))
    return opened_dock(viewer, micro_model())


@pytest.fixture
def panel(viewer: Any, dock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The panel of a new session, on frame 1."""
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: "thread" if name == "worker" else "")
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    dock.annotation.go_to_frame(1)
    until(lambda: dock.annotation.frame == 1)
    made = dock.workspace.everything
    dock.workspace.tabs.setCurrentWidget(made)
    made.form.widgets["points_per_side"].value = 6
    choose(made, LOW)
    yield made
    dock.close_session()


def choose(panel: Any, thresholds: tuple[float, float]) -> None:
    """Move the thresholds, as a person does in the form."""
    for name, value in zip(("pred_iou_thresh", "stability_score_thresh"), thresholds, strict=True):
        panel.form.widgets[name].value = value


def found(dock: Any, panel: Any) -> None:
    panel.find.click()
    until(lambda: dock.annotation.rows and panel.candidates.isVisible(), why=lambda: dock.status.text())


def test_thresholds_are_moved_without_the_network(viewer: Any, dock: Any, panel: Any, monkeypatch: Any) -> None:
    annotation, session = dock.annotation, dock.annotation.session
    found(dock, panel)
    before = [one.id for one in session.objects]
    until(lambda: f"{len(before)} of" in panel.candidates.count.text())
    assert not panel.candidates.apply.isEnabled()
    candidates, jobs = panel.candidates._candidates, len(session.jobs)

    # what would pass is outlined at once, on this frame only; nothing is changed yet
    choose(panel, HIGH)
    passing = candidates.choose(*HIGH)
    assert 0 < len(passing) < len(before)
    until(lambda: panel.candidates.apply.isEnabled() and f"{len(passing)} of" in panel.candidates.count.text())
    outlined = panel.candidates.preview.layer
    assert outlined in viewer.layers
    # it is nothing to start from or to learn from
    for choice in (panel.layers, dock.workspace.training.source):
        assert outlined not in [choice.itemData(at) for at in range(choice.count())]
    assert viewer.layers.selection.active is annotation.layer
    shown = np.asarray(outlined.data)
    np.testing.assert_array_equal(shown[1], candidates.labels(passing, session.frame_size))
    assert not np.delete(shown, 1, 0).any()
    assert [one.id for one in session.objects] == before

    panel.candidates.apply.click()
    until(lambda: len(annotation.rows) == len(passing), why=lambda: dock.status.text())
    until(lambda: outlined not in viewer.layers)
    # those that pass both are the same objects
    both = set(candidates.choose(*LOW)) & set(passing)
    assert len({row.id for row in annotation.rows} & set(before)) == len(both) > 0
    # back again: what had gone comes as new objects, the others are the same
    choose(panel, LOW)
    until(panel.candidates.apply.isEnabled)
    panel.candidates.apply.click()
    until(lambda: len(annotation.rows) == len(before))
    assert len({row.id for row in annotation.rows} & set(before)) == len(both)
    assert len(session.jobs) == jobs

    for expected in (len(passing), len(before), 0):
        annotation.undo()
        until(lambda expected=expected: len(annotation.rows) == expected)


def test_lower_than_was_looked_for_asks_for_another_run(dock: Any, panel: Any) -> None:
    found(dock, panel)
    choose(panel, (0.1, 0.6))
    until(lambda: "segment everything again" in panel.candidates.count.text())
    assert not panel.candidates.apply.isEnabled()
    choose(panel, LOW)
    until(lambda: "pass" in panel.candidates.count.text())


def test_objects_that_were_worked_on_stay(viewer: Any, dock: Any, panel: Any) -> None:
    annotation = dock.annotation
    found(dock, panel)
    kept = annotation.rows[-1].id
    annotation.change_object(kept, name="mine")
    until(lambda: annotation.row(kept).name == "mine")
    choose(panel, (0.99, 0.99))
    until(panel.candidates.apply.isEnabled)
    panel.candidates.apply.click()
    until(lambda: [row.id for row in annotation.rows] == [kept], why=lambda: dock.status.text())


def test_everything_is_tracked_through_the_stack(dock: Any, panel: Any, viewer: Any) -> None:
    annotation = dock.annotation
    choose(panel, HIGH)
    panel.find_and_track.click()
    until(lambda: annotation.rows and all(row.frames == FRAMES for row in annotation.rows), why=dock.status.text)

    # found in one step, tracked in another
    until(lambda: not annotation.session.jobs.active)
    assert len(annotation.session.history) == 2
    hand = Hand(viewer)
    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: all(row.frames == 1 for row in annotation.rows))
    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: not annotation.rows)


def test_the_outlines_go_with_the_session(viewer: Any, dock: Any, panel: Any) -> None:
    found(dock, panel)
    choose(panel, HIGH)
    until(lambda: panel.candidates.preview.layer in viewer.layers)
    # outlines on one frame are nothing to see in a volume, and reading them there reads the whole of it
    outlined = panel.candidates.preview.layer
    viewer.dims.ndisplay = 3
    assert not outlined.visible
    viewer.dims.ndisplay = 2
    until(lambda: outlined.visible)
    dock.close_session()
    assert [layer.name for layer in viewer.layers] == ["cells"]

"""Finding all objects of a frame with the model that ships, as the form begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sam2_core.checkpoints.catalogue import everything_thresholds
from tests.napari.hand import until
from tests.napari.scene import CELLS, cells, micro_model

MODEL = "sam2.1_hiera_micro"


@pytest.fixture(scope="module")
def dock(display: None, qapp: Any) -> Iterator[Any]:
    from napari.components import ViewerModel

    import sam2_napari.dock as dock_module

    micro_model()  # skips where it is not there
    real = dock_module.open_session
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            dock_module,
            "open_session",
            lambda request, report: real(type(request)(**{**vars(request), "worker": "thread"}), report),
        )
        made = dock_module.AnnotateDock(ViewerModel())
        made.viewer.add_image(cells(1)[0], name="image")
        made.start.list_models(MODEL)
        # a new one, whatever other tests have kept of an image like this
        made.start.session.setCurrentIndex(0)
        made.start.begin.click()
        until(lambda: made.annotation is not None, why=lambda: made.status.text())
        yield made
        made.close_session()
        made.deleteLater()


def test_thresholds_go_with_the_model_unless_they_were_moved(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sam2_napari.everything_panel as everything_panel

    panel = dock.workspace.everything
    before = dict(panel.form.values)
    names = ("pred_iou_thresh", "stability_score_thresh")
    monkeypatch.setattr(everything_panel, "everything_thresholds", lambda model: dict.fromkeys(names, 0.25))
    panel.form.widgets[names[1]].value = 0.5
    dock._show_model(MODEL)
    assert [panel.form.values[name] for name in names] == [0.25, 0.5]
    # a model that nothing is known of is asked as usual
    monkeypatch.setattr(everything_panel, "everything_thresholds", lambda model: {})
    dock._show_model(MODEL)
    assert [panel.form.values[name] for name in names] == [0.8, 0.5]

    monkeypatch.undo()
    panel.form.widgets[names[1]].value = 0.25
    dock._show_model(MODEL)
    panel.form.widgets[names[1]].value = before[names[1]]
    assert panel.form.values == before


def test_the_model_that_ships_finds_something_without_any_setting(dock: Any) -> None:
    panel = dock.workspace.everything
    suits = everything_thresholds(MODEL)
    assert {name: panel.form.values[name] for name in suits} == pytest.approx(suits)
    panel.form.widgets["points_per_side"].value = 8

    panel.find.click()
    until(lambda: any(row.is_here for row in dock.annotation.rows), why=lambda: dock.status.text())
    labels = dock.annotation.session.labels(0)
    assert all(labels[y, x] for x, y in CELLS)
    assert labels[CELLS[0][::-1]] != labels[CELLS[1][::-1]]

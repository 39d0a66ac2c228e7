"""Tracks and labels out of the viewer and back in, as other software has them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.napari.hand import until
from tests.napari.scene import cells


@pytest.fixture
def dock(display: None, qapp: Any) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.dock import AnnotateDock

    made = AnnotateDock(ViewerModel())
    # what is painted needs no model
    made.start.model.addItem("none", None)
    made.start.model.setCurrentIndex(made.start.model.findText("none"))
    made.viewer.add_image(cells(4), name="movie", axis_labels=("t", "y", "x"))
    begin(made)
    yield made
    made.close_session()
    made.deleteLater()


def begin(dock: Any) -> None:
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())


def divided(dock: Any) -> None:
    """A cell that divides after its second frame."""
    session = dock.annotation.session
    mask = np.zeros(session.frame_size, bool)
    mask[20:30, 20:30] = True

    def work() -> None:
        mother = session.add_object("mother")
        for frame in range(2):
            session.paint(mother.id, frame, mask)
        for number, daughter in enumerate(session.mark_division(mother.id)):
            for frame in (2, 3):
                session.paint(daughter.id, frame, np.roll(mask, 20 * number, axis=1))

    dock.annotation.work.do(work)
    until(lambda: [row.frames for row in dock.annotation.rows] == [2, 2, 2])


def exported(dock: Any, path: Path, format: str) -> Path:
    save = dock.workspace.save
    save.format.setCurrentIndex(save.format.findData(format))
    save.export_to(str(path))
    until(lambda: f"Done: export to {path.name}" in dock.status.text(), why=lambda: f"but: {dock.status.text()}")
    return path


def test_tracks_are_saved_for_other_software(dock: Any, tmp_path: Path) -> None:
    geff = pytest.importorskip("geff", reason="needs geff; install it with pip install geff")
    divided(dock)

    graph, _ = geff.read(exported(dock, tmp_path / "cells.geff", "geff"))
    assert len(graph) == 6
    assert sorted(dict(graph.out_degree()).values()) == [0, 0, 1, 1, 1, 2]
    spots = ElementTree.parse(exported(dock, tmp_path / "cells.xml", "trackmate")).getroot().iter("Spot")
    assert len(list(spots)) == 6

    # what is there is not written over unasked
    dock.workspace.save.export_to(str(tmp_path / "cells.xml"))
    until(lambda: "exists already" in dock.status.text(), why=lambda: f"but: {dock.status.text()}")


def test_a_cell_tracking_result_comes_back_with_its_lineage(dock: Any, tmp_path: Path) -> None:
    divided(dock)
    expected = [dock.annotation.session.labels(frame) for frame in range(4)]
    place = exported(dock, tmp_path / "01_RES", "ctc")
    dock.close_session()
    begin(dock)

    dock.workspace.save.imports.import_from(str(place))
    until(lambda: "3 objects from 01_RES" in dock.status.text(), why=lambda: f"but: {dock.status.text()}")
    session = dock.annotation.session
    np.testing.assert_array_equal([session.labels(frame) for frame in range(4)], expected)
    assert [one.parents for one in session.objects] == [(), (1,), (1,)]

    dock.workspace.save.imports.import_from(str(tmp_path / "nothing.tif"))
    until(lambda: "nothing.tif" in dock.status.text(), why=lambda: f"but: {dock.status.text()}")
    assert len(session.objects) == 3


def imported(dock: Any, path: Path, button: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press a button of the import, and choose a path in its dialog."""
    import sam2_napari.import_panel as import_panel

    monkeypatch.setattr(import_panel, "asked_path", lambda parent, is_folder: str(path))
    dock.say("")
    getattr(dock.workspace.save.imports, button).click()
    until(lambda: path.name in dock.status.text(), why=lambda: f"but: {dock.status.text()}")


@pytest.mark.parametrize("format", ["geff", "trackmate"])
def test_tracks_come_back_with_their_masks_and_lineage(
    dock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    if format == "geff":
        pytest.importorskip("geff", reason="needs geff; install it with pip install geff")
    divided(dock)
    expected = [dock.annotation.session.labels(frame) for frame in range(4)]
    tracks = exported(dock, tmp_path / ("cells.geff" if format == "geff" else "cells.xml"), format)
    labels = exported(dock, tmp_path / "cells.tif", "tiff")
    dock.close_session()
    begin(dock)

    button = "take_folder" if format == "geff" else "take_file"
    dock.workspace.save.imports.masks.setText(str(labels))
    imported(dock, tracks, button, monkeypatch)
    assert dock.status.text() == f"3 objects from {tracks.name}."
    session = dock.annotation.session
    np.testing.assert_array_equal([session.labels(frame) for frame in range(4)], expected)
    assert [one.parents for one in session.objects] == [(), (1,), (1,)]
    # a graph has no names
    assert format == "geff" or session.objects[0].name == "mother"
    dock.annotation.undo()
    until(lambda: not session.objects)

    dock.workspace.save.imports.masks.clear()
    imported(dock, tracks, button, monkeypatch)
    assert "6 places have a click and no mask" in dock.status.text()
    ((x, y),) = session.prompt(session.objects[0].id, 0).points
    assert (x, y) == pytest.approx((24.5, 24.5), abs=0.6)


def test_an_import_that_cannot_be_done_says_why_and_changes_nothing(
    dock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.xml"
    wrong.write_text("<TrackMate>", encoding="utf-8")
    imported(dock, wrong, "take_file", monkeypatch)
    assert "wrong.xml" in dock.status.text()
    empty = tmp_path / "empty"
    empty.mkdir()
    imported(dock, empty, "take_folder", monkeypatch)
    imported(dock, tmp_path / "gone.xml", "take_file", monkeypatch)
    assert dock.annotation.session.objects == []
    # nothing was chosen in the dialog
    monkeypatch.setattr("sam2_napari.import_panel.asked_path", lambda parent, is_folder: "")
    dock.workspace.save.imports.take_file.click()
    assert dock.annotation.session.objects == []

"""What people do wrong, and what goes wrong around them: each is told, and the work goes on.

The viewer has no window here: a ViewerModel has the same layers, dimensions and keys.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent

from sam2_core.errors import DownloadError, InvalidInputError
from sam2_core.hooks import Drawn, ObjectPrompt, PromptType, get_plugins, hookimpl
from tests.napari.hand import until
from tests.napari.scene import cells


class BrokenPlugin:
    @hookimpl
    def sam2_prompt_types(self) -> list[PromptType]:
        def to_prompts(drawn: Drawn, context: Any) -> list[ObjectPrompt]:
            raise ZeroDivisionError("nobody thought of this")

        return [PromptType("broken", "raises", gesture="point", to_prompts=to_prompts)]


@pytest.fixture(scope="module")
def dock(display: None, qapp: Any) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.dock import AnnotateDock

    get_plugins().register(BrokenPlugin(), name="broken-plugin")
    made = AnnotateDock(ViewerModel())
    # what is painted needs no model
    made.start.model.addItem("none", None)
    yield made
    made.close_session()
    made.deleteLater()
    get_plugins().unregister("broken-plugin")


@pytest.fixture(autouse=True)
def _clean(dock: Any) -> Iterator[None]:
    dock.start.model.setCurrentIndex(dock.start.model.findText("none"))
    yield
    dock.close_session()
    dock.viewer.layers.clear()


def start(dock: Any, image: Any, **options: Any) -> None:
    dock.viewer.add_image(image, name="image", **options)
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()


def started(dock: Any, image: Any, **options: Any) -> Any:
    start(dock, image, **options)
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    return dock.annotation


def told(dock: Any, text: str) -> None:
    until(lambda: text in dock.status.text(), why=lambda: f"but: {dock.status.text()}")


def test_keys_that_are_none_or_two_have_are_said(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sam2_napari.keys as keys

    wrong = {"lock": "Foo-Q", "divide": "shift+s"}
    monkeypatch.setattr(keys, "setting", lambda group, name, default=None: wrong.get(name, default))
    annotation = started(dock, cells(2))

    assert "'Lock here' is 'Foo-Q', which is none." in dock.status.text()
    assert "shift+s is the key of 'Track' and of 'Divides here'" in dock.status.text()
    dock.close_session()
    assert not annotation.layer.keymap
    monkeypatch.undo()
    dock.viewer.layers.clear()
    started(dock, cells(2))
    assert "is the key of" not in dock.status.text()


def test_no_image(dock: Any) -> None:
    dock.start.begin.click()

    told(dock, "There is no image in the viewer")
    assert dock.annotation is None


def test_an_image_without_pixels_is_refused(dock: Any) -> None:
    from napari.layers import Image

    from sam2_napari.layer_stack import volume_of

    with pytest.raises(InvalidInputError, match="no pixels"):
        volume_of(Image(np.zeros((0, 8, 8), np.uint8)), "zyx")


def test_intensities_that_are_no_numbers(dock: Any) -> None:
    image = np.ones((2, 16, 16), np.float32)
    image[1, 3, 3] = np.nan
    start(dock, image)

    told(dock, "NaN")
    assert dock.annotation is None
    assert dock.start.isEnabled()


def test_colours_are_taken_as_they_are(dock: Any) -> None:
    annotation = started(dock, np.zeros((16, 20, 3), np.uint8), rgb=True)

    assert annotation.session.stack.channel_count == 3
    assert annotation.labels.shape == (16, 20)


def test_of_five_channels_three_are_chosen(dock: Any) -> None:
    dock.viewer.add_image(np.zeros((5, 16, 16), np.uint8), name="image")
    dock.start.axes.setText("cyx")
    dock.start._axes_chosen()
    dock.start.begin.click()
    told(dock, "at most three")

    dock.start.channels.setText("first")
    dock.start.begin.click()
    told(dock, "Channels are numbers")

    dock.start.channels.setText("0, 4")
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    assert dock.annotation.session.stack.channel_count == 2
    dock.start.channels.setText("")


def test_axes_that_do_not_fit(dock: Any) -> None:
    dock.viewer.add_image(np.zeros((3, 16, 16), np.uint8), name="image")
    dock.start.axes.setText("yx")
    dock.start.begin.click()

    told(dock, "name each with another letter")


def test_images_of_any_format_are_opened_from_the_dock(dock: Any, tmp_path: Any) -> None:
    from PIL import Image

    Image.fromarray(cells(1)[0]).save(tmp_path / "cells.png")
    dock.open_image(str(tmp_path / "cells.png"))
    until(lambda: len(dock.viewer.layers) == 1, why=lambda: dock.status.text())
    np.testing.assert_array_equal(np.asarray(dock.viewer.layers[0].data), cells(1)[0])
    assert dock.start.chosen_image is dock.viewer.layers[0]

    (tmp_path / "empty").mkdir()
    dock.open_image(str(tmp_path / "empty"))
    until(lambda: "Opening" not in dock.status.text())
    assert "empty" in dock.status.text()
    assert dock.start.isEnabled()
    assert len(dock.viewer.layers) == 1


def test_frames_that_nobody_says_what_they_are_counted_along(dock: Any, tmp_path: Any) -> None:
    from PIL import Image

    for number, frame in enumerate(cells(3)):
        Image.fromarray(np.stack([frame] * 3, -1)).save(tmp_path / f"frame{number}.png")
    dock.open_image(str(tmp_path))
    until(lambda: dock.start.chosen_image is not None, why=lambda: dock.status.text())
    assert dock.start.chosen_image.data.shape == (*cells(3).shape, 3)
    dock.start.axes.setText("tyx")
    dock.start.axes.editingFinished.emit()
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())

    stack = dock.annotation.session.stack
    assert (stack.axis, len(stack)) == ("t", 3)
    np.testing.assert_array_equal(stack.read(1)[..., 0], cells(3)[1])


def test_a_stack_of_one_slice(dock: Any) -> None:
    annotation = started(dock, np.zeros((1, 16, 16), np.uint8))

    assert annotation.session.frame_count == 1
    assert annotation.frame == 0


def test_layers_are_renamed_and_deleted(dock: Any) -> None:
    annotation = started(dock, cells(3))
    annotation.layer.name = "something else"
    dock.viewer.layers["image"].name = "another name"
    dock.viewer.layers.remove(dock.viewer.layers["another name"])

    annotation.work.do(lambda: annotation.session.paint(annotation.session.add_object().id, 0, cells(1)[0] > 99))
    until(lambda: [row.frames for row in annotation.rows] == [1])

    dock.viewer.layers.remove(annotation.layer)
    told(dock, "It can be continued")
    assert dock.annotation is None
    assert not dock.viewer.layers


def test_nothing_is_selected(dock: Any) -> None:
    annotation = started(dock, cells(2))
    for action in (annotation.segment, annotation.mark_division, annotation.split_object):
        dock.status.setText("")
        action()
        told(dock, "Select an object first")
    annotation.merge_objects([])
    told(dock, "Select at least two objects")
    annotation.undo()
    told(dock, "nothing to undo")
    annotation.propagate()
    told(dock, "cannot segment")


def test_a_download_that_fails(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sam2_napari import model_list

    def download(entry: Any, report: Any) -> None:
        report(5_000_000, entry.size_bytes)
        raise DownloadError("the connection broke after 5 MB; try again")

    monkeypatch.setattr(model_list, "download", download)
    dock.viewer.add_image(cells(2), name="image")
    dock.start.model.setCurrentIndex(dock.start.model.findData("sam2.1_hiera_tiny"))
    assert "156 MB" in dock.start.model.currentText()
    dock.start.begin.click()
    until(lambda: dock._question is not None)

    # nothing is downloaded unasked
    question = dock._question
    assert "Apache-2.0" in question.text()
    next(one for one in question.buttons() if one.text() == "Download").click()
    told(dock, "the connection broke")
    assert dock.annotation is None
    assert dock.start.isEnabled()


def test_a_download_that_is_stopped(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sam2_napari import model_list

    asked = threading.Event()

    def download(entry: Any, report: Any) -> None:
        report(5_000_000, entry.size_bytes)
        asked.wait(120)
        report(6_000_000, entry.size_bytes)
        raise AssertionError("it went on")

    monkeypatch.setattr(model_list, "download", download)
    dock.viewer.add_image(cells(2), name="image")
    dock.start.model.setCurrentIndex(dock.start.model.findData("sam2.1_hiera_tiny"))
    dock.start.begin.click()
    until(lambda: dock._question is not None)
    next(one for one in dock._question.buttons() if one.text() == "Download").click()
    told(dock, "Downloading sam2.1_hiera_tiny: 5 MB")
    assert not dock.start.isEnabled()
    dock.give_up.click()
    asked.set()
    told(dock, "What has come of sam2.1_hiera_tiny is kept")
    assert dock.start.isEnabled()
    assert dock.give_up.isHidden()
    assert dock.annotation is None


def test_a_session_that_is_opened_while_the_dock_goes_is_closed(
    dock: Any, qapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sam2_napari.dock as dock_module

    opening, may_open, opened = threading.Event(), threading.Event(), []
    real = dock_module.open_session

    def slow(request: Any, report: Any) -> Any:
        opening.set()
        may_open.wait(120)
        opened.append(real(request, lambda _: None))
        return opened[0]

    monkeypatch.setattr(dock_module, "open_session", slow)
    other = dock_module.AnnotateDock(type(dock.viewer)())
    other.start.model.addItem("none", None)
    other.start.model.setCurrentIndex(other.start.model.findText("none"))
    start(other, cells(2))
    until(opening.is_set)
    work = other._work._executor
    other.deleteLater()
    qapp.sendPostedEvents(other, QEvent.Type.DeferredDelete)
    may_open.set()
    work.shutdown(wait=True)
    # another one can have it: its files are let go
    with type(opened[0]).open(opened[0].folder, opened[0].stack):
        pass


def test_a_disk_that_is_full(dock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import sam2_core.session.export as export

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    annotation = started(dock, cells(2))
    monkeypatch.setattr(export, "open_label_writer", full)
    dock.workspace.save.export_to(str(tmp_path / "labels.tif"))

    told(dock, "No space left")
    annotation.work.do(annotation.session.add_object)
    until(lambda: len(annotation.rows) == 1)


def test_labels_in_the_images_store_are_replaced_only_if_agreed(
    dock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from qtpy.QtWidgets import QMessageBox

    annotation, written = started(dock, cells(2)), []
    monkeypatch.setattr(annotation.session, "start_export", lambda *given, overwrite: written.append(overwrite))
    save = dock.workspace.save
    save._store = str(tmp_path)
    (tmp_path / "labels" / "sam2").mkdir(parents=True)
    for answer, wanted in (("Cancel", []), ("Replace", [True])):
        save.save_into_image()
        until(lambda: save.findChildren(QMessageBox) != [])
        (question,) = save.findChildren(QMessageBox)
        next(one for one in question.buttons() if one.text().replace("&", "") == answer).click()
        until(lambda: save.findChildren(QMessageBox) == [])
        until(lambda wanted=wanted: written == wanted)
    # its own it replaces unasked
    save.save_into_image()
    until(lambda: written == [True, True])


def test_a_plugin_that_raises_is_named(dock: Any) -> None:
    annotation = started(dock, cells(2))
    broken = dock.workspace.tools.prompt_types["broken"]
    annotation.draw(broken, Drawn("point", 0, True, np.array([[5.0, 5.0]], np.float32)))

    told(dock, "broken-plugin")
    annotation.work.do(annotation.session.add_object)
    until(lambda: len(annotation.rows) == 1)


def test_what_was_interrupted_is_offered_again(dock: Any) -> None:
    annotation = started(dock, cells(2))
    folder = annotation.session.folder
    annotation.work.do(annotation.session.add_object)
    until(lambda: len(annotation.rows) == 1)
    dock.close_session()

    until(lambda: dock.start.session.currentData() == folder)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None and len(dock.annotation.rows) == 1, why=lambda: dock.status.text())

"""Three dimensions: small copies are shown, and no volume is read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sam2_napari import companion
from tests.napari.hand import until
from tests.napari.scene import cells


class Watched:
    """A volume that remembers how many slices were read at once."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data
        self.shape, self.dtype, self.ndim, self.size = data.shape, data.dtype, data.ndim, data.size
        self.most = 0

    def __len__(self) -> int:
        return len(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:]

    def __getitem__(self, key: Any) -> np.ndarray:
        found = self._data[key]
        self.most = max(self.most, found.size // self._data[0].size)
        return found


@pytest.fixture
def dock(display: None, qapp: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.dock import AnnotateDock

    # all images are large
    monkeypatch.setattr(companion, "WHOLE_IMAGE_BYTES", 1000)
    made = AnnotateDock(ViewerModel())
    # what is painted needs no model
    made.start.model.addItem("none", None)
    made.start.model.setCurrentIndex(made.start.model.findText("none"))
    yield made
    made.close_session()
    made.deleteLater()


def begin(dock: Any) -> Any:
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    return dock.annotation


def test_no_volume_is_read_as_a_whole(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = dock.viewer
    volumes = [Watched(cells()), Watched(cells()[::-1])]
    other = viewer.add_image(volumes[1], name="another channel", contrast_limits=(0, 255))
    image = viewer.add_image(volumes[0], name="image", contrast_limits=(0, 255), axis_labels=("z", "y", "x"))
    dock.start.image.setCurrentIndex(dock.start.image.findData(image))
    annotation = begin(dock)
    annotation.work.do(lambda: annotation.session.paint(annotation.session.add_object().id, 2, cells()[2] > 99))
    until(lambda: [row.frames for row in annotation.rows] == [1])
    labels = Watched(np.zeros(cells().shape, np.int32))
    read = type(annotation.labels).__getitem__
    monkeypatch.setattr(type(annotation.labels), "__getitem__", lambda self, key: (labels[key], read(self, key))[1])
    for volume in volumes:
        volume.most = 0

    viewer.dims.ndisplay = 3
    until(lambda: len(dock.companion.layers) == 2)
    assert not any(layer.visible for layer in (annotation.layer, image, other))
    viewer.dims.ndisplay = 2
    assert all(layer.visible for layer in (annotation.layer, image, other))
    assert not dock.companion.layers
    for volume in (*volumes, labels):
        assert volume.most <= 1
    np.testing.assert_array_equal(annotation.layer._slice.image.raw, annotation.session.labels(annotation.frame))


def test_a_session_begins_in_two_dimensions(dock: Any) -> None:
    viewer = dock.viewer
    viewer.add_image(cells(), name="image", axis_labels=("z", "y", "x"))
    viewer.dims.ndisplay = 3
    begin(dock)
    assert viewer.dims.ndisplay == 2
    assert not dock.companion.layers

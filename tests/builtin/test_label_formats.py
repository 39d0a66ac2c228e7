"""Label formats come through the hook sam2_label_formats, plugins' after the built-in ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, PluginError
from sam2_core.hooks import LabelFormat, LabelReading, LabelWriting, using_plugins
from sam2_core.volumes.labels import (
    ArrayLabels,
    LabelLayout,
    LabelWriter,
    convert_labels,
    label_formats,
    open_label_writer,
    open_labels,
)
from sam2_core.volumes.labels.built_in_formats import FORMATS
from tests.hooks.added import plugins_adding


class NumpyWriter(LabelWriter):
    """Keeps labels in one .npy file."""

    def __init__(self, path: Path, layout: LabelLayout) -> None:
        super().__init__(str(path), layout)
        shape = (layout.length, *layout.frame_size)
        self._array = np.lib.format.open_memmap(path, mode="w+", dtype=layout.dtype, shape=shape)

    def _write_pixels(self, index: int, labels: Any, y0: int, x0: int) -> None:
        height, width = labels.shape
        self._array[index, y0 : y0 + height, x0 : x0 + width] = labels

    def _read_pixels(self, index: int) -> Any:
        return np.array(self._array[index])

    def _record_written(self, index: int) -> None:
        pass

    def _finish(self) -> None:
        self._array.flush()

    def _release(self) -> None:
        self._array.flush()

    def _remove(self) -> None:
        Path(self.name).unlink()


def write_numpy(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    return NumpyWriter(Path(destination), layout)


def read_numpy(source: str, reading: LabelReading) -> ArrayLabels:
    return ArrayLabels(np.load(source, mmap_mode="r"), name=source, axis=reading.axis or "frame")


NUMPY = LabelFormat(
    "numpy",
    "a .npy file",
    destination="NAME.npy",
    file_name="labels.npy",
    open_writer=write_numpy,
    open_labels=read_numpy,
    claims=lambda name: name.endswith(".npy"),
)


def given(**changed: Any) -> LabelFormat:
    written = {name: getattr(NUMPY, name) for name in ("destination", "file_name", "open_writer", "open_labels")}
    return LabelFormat("given", **{**written, "claims": lambda name: name.endswith(".given"), **changed})


def test_the_built_in_formats_are_registered_in_order() -> None:
    found = label_formats()

    assert [name for name, one in found.items() if one.plugin.name == "label-formats"] == list(FORMATS)


def test_a_plugins_format_is_written_and_read_like_any_other(tmp_path: Path) -> None:
    labels = np.array([[[0, 5]], [[300, 0]]], np.uint16)
    with using_plugins(plugins_adding(NUMPY, installed=True)):
        convert_labels(labels, tmp_path / "a.npy")
        convert_labels(tmp_path / "a.npy", tmp_path / "b.tif")
        with open_labels(tmp_path / "b.tif") as stack:
            assert [stack.read(index).tolist() for index in range(2)] == labels.tolist()

    with pytest.raises(InvalidInputError, match=r"NAME\.tif"):
        open_label_writer(tmp_path / "c.npy", length=1, frame_size=(1, 2))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"open_writer": lambda destination, layout, writing: None}, "must return a LabelWriter; got None"),
        ({"open_writer": lambda destination, layout, writing: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_one_that_fails_is_named(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    plugins = plugins_adding(given(**changed), installed=True)

    with using_plugins(plugins), pytest.raises(PluginError, match=f"label format 'given' failed.*{says}"):
        open_label_writer(tmp_path / "a.given", length=1, frame_size=(1, 2))


def test_one_that_reads_nonsense_and_one_that_only_writes(tmp_path: Path) -> None:
    (tmp_path / "a.given").touch()
    nonsense = plugins_adding(given(open_labels=lambda source, reading: [1]), installed=True)
    writes = plugins_adding(given(open_labels=None), installed=True)

    with using_plugins(nonsense), pytest.raises(PluginError, match="must return a LabelStack"):
        open_labels(tmp_path / "a.given")
    with using_plugins(writes), pytest.raises(InvalidInputError, match="is only written"):
        open_labels(tmp_path / "a.given")

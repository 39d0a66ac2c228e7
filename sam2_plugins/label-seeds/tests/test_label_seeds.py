"""Prompts from labels and from bright spots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sam2_label_seeds
import tifffile

from sam2_core import InvalidInputError
from sam2_core.hooks import ArrayContext, Drawn, Plugins, Selection, prompts_of
from sam2_core.hooks.contract import PluginContract

SIZE = (40, 60)
PLUGINS = Plugins(Selection(), strict=True)
PLUGINS.register(sam2_label_seeds, name="label-seeds")
DRAWN = Drawn("none", 1)


class TestContract(PluginContract):
    plugin = sam2_label_seeds


def labels() -> Any:
    found = np.zeros((3, *SIZE), np.uint16)
    found[1, 4:14, 5:17] = 60_000
    found[1, 20:30, 30:44] = 7
    found[1, 38, 58] = 9
    found[2, :10, :10] = 7
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "seeds.tif", labels(), imagej=True, metadata={"axes": "ZYX"})
    return tmp_path / "seeds.tif"


def context(known: Any = None) -> ArrayContext:
    return ArrayContext(np.zeros((3, *SIZE, 3), np.uint8), labels=known, frame=1)


def told(source: Path, known: Any = None, **options: Any) -> Any:
    return prompts_of("label-seeds", DRAWN, context(known), plugins=PLUGINS, labels=source, **options)


def test_each_object_of_the_frame_is_a_new_one(source: Path) -> None:
    found = told(source)

    assert [prompt.object_id for prompt in found] == ["new", "new"], "the one of a single pixel is too small"
    masks = [np.flatnonzero(prompt.mask).tolist() for prompt in found]
    assert sorted(masks) == sorted(np.flatnonzero(labels()[1] == number).tolist() for number in (7, 60_000))
    assert len(told(source, min_area=1)) == 3


def test_told_as_boxes_and_points(source: Path) -> None:
    boxes = sorted(prompt.box for prompt in told(source, told_as="box"))
    points = [next(iter(prompt.points)) for prompt in told(source, told_as="point")]

    assert boxes == [(5, 4, 17, 14), (30, 20, 44, 30)]
    assert sorted(labels()[1][int(y), int(x)] for x, y in points) == [7, 60_000]
    assert all(5 <= x % 25 <= 12 or 30 < x < 44 for x, y in points)


def test_those_that_are_known_are_left_out(source: Path) -> None:
    known = np.where(labels() == 7, 3, 0)

    assert len(told(source, known)) == 1
    assert len(told(source, known, only_new=False)) == 2


def test_one_label_image_for_any_frame(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", labels()[1])

    assert len(told(tmp_path / "one.tif")) == 2


@pytest.mark.parametrize(("shape", "says"), [((2, *SIZE), "2 frames"), ((3, 5, 6), r"\(5, 6\)")])
def test_labels_of_another_stack(tmp_path: Path, shape: tuple[int, ...], says: str) -> None:
    tifffile.imwrite(tmp_path / "other.tif", np.ones(shape, np.uint16), imagej=True, metadata={"axes": "ZYX"})

    with pytest.raises(InvalidInputError, match=says):
        told(tmp_path / "other.tif")


def test_without_a_file() -> None:
    with pytest.raises(InvalidInputError, match="Choose a label image"):
        prompts_of("label-seeds", DRAWN, context(), plugins=PLUGINS)
    with pytest.raises(InvalidInputError, match="Choose an image"):
        prompts_of("peak-seeds", DRAWN, context(), plugins=PLUGINS)


def test_bright_spots(tmp_path: Path) -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    spots = [(10, 12, 200), (40, 30, 180), (25, 30, 90)]  # x, y, height
    image = sum(top * np.exp(-((x - across) ** 2 + (y - down) ** 2) / 18) for across, down, top in spots)
    tifffile.imwrite(tmp_path / "spots.tif", image.astype(np.uint8))

    def found(known: Any = None, **options: Any) -> list[tuple[float, float]]:
        prompts = prompts_of(
            "peak-seeds", DRAWN, context(known), plugins=PLUGINS, image=tmp_path / "spots.tif", **options
        )
        return sorted(next(iter(prompt.points)) for prompt in prompts)

    assert np.allclose(found(), [(10, 12), (40, 30)], atol=1)
    assert np.allclose(found(least=0.1), [(10, 12), (25, 30), (40, 30)], atol=1)
    assert np.allclose(found(least=0.1, distance=25), [(10, 12), (40, 30)], atol=1)
    known = np.zeros((3, *SIZE), int)
    known[1, 10:14, 8:13] = 1
    assert np.allclose(found(known), [(40, 30)], atol=1)

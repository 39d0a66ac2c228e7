"""docs/labels.md tells the truth: its code runs, and what it says works without this project does."""

from __future__ import annotations

import re

import numpy as np
import tifffile
import zarr
from PIL import Image
from pycocotools.coco import COCO

from sam2_core.volumes.labels import convert_labels
from sam2_core.volumes.labels.built_in_formats import FORMATS


def test_the_page_runs(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    page = (repository / "docs" / "labels.md").read_text(encoding="utf-8")
    labels = np.zeros((512, 512), np.int64)
    labels[10:40, 20:60] = 7
    names: dict[str, object] = {"labels": labels}
    for code in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(code, names)
    assert np.array_equal(names["frame"], labels)

    assert np.array_equal(zarr.open_array("cells.zarr/0")[12], labels)
    assert np.array_equal(tifffile.imread("cells.tif")[12], labels)
    convert_labels("cells.tif", "masks", format="png")
    assert np.array_equal(np.asarray(Image.open("masks/00012.png")), labels)
    convert_labels("cells.tif", "cells.json")
    coco = COCO("cells.json")
    (annotation,) = coco.dataset["annotations"]
    assert np.array_equal(coco.annToMask(annotation) * annotation["track_id"], labels)
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == set(FORMATS)

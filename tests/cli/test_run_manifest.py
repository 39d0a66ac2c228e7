from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr
from PIL import Image

from sam2_core.cli.prompts import parse_prompts
from sam2_core.cli.run_manifest import RunManifest, prompts_digest, source_stamp, weights_digest
from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes import open_frames

RUN = RunManifest({"address": "a.tif", "size": (3, 4)}, {"dtype": "float32"}, {"frames": [0, 3], "stop": None}, "1234")


def test_it_comes_back(tmp_path):
    path = tmp_path / "run.json"
    assert RunManifest.read(path) is None
    RUN.write(path)
    found = RunManifest.read(path)
    assert found.source == {"address": "a.tif", "size": [3, 4]}
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    far = {"contrast_limits": {"low": [1.5], "high": [9.0]}, "objects": {"1": [0]}, "is_finished": True}
    progressed = replace(found, **far)
    assert replace(RUN, command="other spelling").require_same(progressed, path) == replace(
        RUN, command="other spelling", **far
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(RUN, options={"frames": [0, 9], "stop": None}), r"frames was \[0, 9\], is \[0, 3\]"),
        (replace(RUN, model={"dtype": "bfloat16"}), "dtype was bfloat16, is float32"),
        (replace(RUN, source={"address": "b.tif", "size": (3, 4)}), "address was b.tif"),
        (replace(RUN, prompts="99"), "the prompts were others"),
        (
            replace(RUN, source={"address": "a.tif", "size": [3, 4], "size and time": [9, 9]}),
            "a.tif had another size or time of change",
        ),
        (replace(RUN, source={"address": "b.tif", "size and time": [9, 9]}), "address was b.tif"),
    ],
)
def test_another_run_is_refused(tmp_path, other, message):
    with pytest.raises(DestinationExistsError, match=message):
        RUN.require_same(other, tmp_path / "run.json")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 0}', '{"format": 1, "what": 2}'])
def test_damage(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InvalidInputError, match="--overwrite"):
        RunManifest.read(tmp_path / "run.json")


def test_digests(tmp_path):
    one, two = parse_prompts(["1,2", "3,4"]), parse_prompts(["3,4", "1,2"])
    assert prompts_digest(one) == prompts_digest(parse_prompts(["1,2", "3,4"]))
    assert len({prompts_digest(one), prompts_digest(two), prompts_digest(one, 3), prompts_digest([])}) == 4
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 3)
    before = weights_digest(layer)
    assert weights_digest(layer) == before
    with torch.no_grad():
        layer.bias[1] += 1e-6
    assert weights_digest(layer) != before
    assert weights_digest(layer.to(torch.bfloat16)) != before


def test_stamp_of_a_source(tmp_path):
    """It follows the files that hold the frames, and nothing that is written beside them."""
    pixels = np.zeros((4, 5), np.uint8)
    assert source_stamp(open_frames(np.zeros((2, 4, 5), np.uint8))) is None
    for name in ("1.png", "2.png"):
        Image.fromarray(pixels).save(tmp_path / name)
        os.utime(tmp_path / name, ns=(10**18, 10**18 + int(name[0])))
    with open_frames(tmp_path / "1.png") as picture:
        assert source_stamp(picture) == [(tmp_path / "1.png").stat().st_size, 10**18 + 1]
    with open_frames(tmp_path) as folder:
        before = source_stamp(folder)
    assert json.loads(json.dumps(before)) == [2, 10**18 + 2]
    (tmp_path / "notes.txt").write_text("something else")
    (tmp_path / "result").mkdir()
    with open_frames(tmp_path) as folder:
        assert source_stamp(folder) == before
    os.utime(tmp_path / "1.png", ns=(10**18, 10**18 + 9))
    with open_frames(tmp_path) as folder:
        assert source_stamp(folder) == [2, 10**18 + 9]


def test_stamp_of_a_zarr_array(tmp_path):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w")
    root.create_array("0", data=np.zeros((2, 4, 5), np.uint8))
    with open_frames(tmp_path / "a.zarr") as frames:
        before = source_stamp(frames)
    assert before is not None
    root.create_group("labels")
    zarr.consolidate_metadata(tmp_path / "a.zarr")
    with open_frames(tmp_path / "a.zarr" / "0") as frames:
        assert source_stamp(frames) == before
    root.create_array("0", data=np.zeros((2, 4, 50), np.uint8), overwrite=True)
    with open_frames(tmp_path / "a.zarr" / "0") as frames:
        assert source_stamp(frames) != before

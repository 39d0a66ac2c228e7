from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sam2_core.cli.prompts import parse_prompts
from sam2_core.cli.run_manifest import RunManifest, file_stamp, prompts_digest, weights_digest
from sam2_core.errors import DestinationExistsError, InvalidInputError

RUN = RunManifest({"address": "a.tif", "size": (3, 4)}, {"dtype": "float32"}, {"frames": [0, 3], "stop": None}, "1234")


def test_it_comes_back(tmp_path):
    path = tmp_path / "run.json"
    assert RunManifest.read(path) is None
    RUN.write(path)
    found = RunManifest.read(path)
    assert found.source == {"address": "a.tif", "size": [3, 4]}
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    progressed = replace(found, objects={"1": [0]}, is_finished=True)
    assert replace(RUN, command="other spelling").require_same(progressed, path) == replace(
        RUN, command="other spelling", objects={"1": [0]}, is_finished=True
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(RUN, options={"frames": [0, 9], "stop": None}), r"frames was \[0, 9\], is \[0, 3\]"),
        (replace(RUN, model={"dtype": "bfloat16"}), "dtype was bfloat16, is float32"),
        (replace(RUN, source={"address": "b.tif", "size": (3, 4)}), "address was b.tif"),
        (replace(RUN, prompts="99"), "the prompts were others"),
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
    (tmp_path / "a").write_text("b")
    assert file_stamp(str(tmp_path / "a"))[0] == 1
    assert file_stamp(str(tmp_path))[0] == 1
    assert file_stamp(str(tmp_path / "none")) is file_stamp(None) is None
    json.dumps(file_stamp(str(tmp_path)))

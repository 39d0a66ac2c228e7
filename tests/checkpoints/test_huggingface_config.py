"""Folders that transformers loads, with transformers as oracle, and what their config.json says."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam2_core import load_model
from sam2_core.checkpoints import config_names, instantiate_model, load_config
from sam2_core.checkpoints.convert import convert_checkpoint
from sam2_core.checkpoints.huggingface_config import hugging_face_config, image_size_beside
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.checkpoints.load import save_checkpoint
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.training.generator import draw_sample

LOADS = """
import json, sys, torch
from transformers import Sam2Model, Sam2VideoModel
torch.set_num_threads(1)
for folder in sys.argv[1:]:
    for kind in (Sam2VideoModel, Sam2Model):
        model, report = kind.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
        found = {name: len(report[name]) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")}
        print(json.dumps([kind.__name__, found]))
"""


def write_folder(folder: Path, name: str, overrides: tuple[str, ...] = ()) -> Path:
    config = load_config(name, overrides)
    with WithoutRandomWeights():
        weights = {key: value.zero_() for key, value in instantiate_model(config).state_dict().items()}
    folder.mkdir()
    save_checkpoint(folder / "model.safetensors", weights, layout="hugging_face")
    (folder / "config.json").write_text(json.dumps(hugging_face_config(config, weights)))
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("sam2.1_hiera_micro", "sam2_hiera_t"),
        pytest.param(("sam2.1_hiera_t", "sam2.1_hiera_b+", "sam2.1_hiera_l"), marks=pytest.mark.soak),
    ],
)
def test_transformers_finds_a_place_for_every_weight(names: tuple[str, ...], tmp_path: Path) -> None:
    """SAM 2 and 2.1, the defaults of the trunk, a size of no default there; none missing, none left over."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers as oracle; install it with `pip install transformers`")
    folders = [write_folder(tmp_path / name, name) for name in names]
    done = subprocess.run([sys.executable, "-c", LOADS, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]

    assert len(answers) == 2 * len(names)
    assert [found for _, found in answers] == [dict.fromkeys(found, 0) for _, found in answers]


SEGMENTS = """
import json, sys
import numpy as np, torch
from transformers import Sam2Model, Sam2Processor
torch.set_num_threads(1)
folder, picture, x, y, answer = sys.argv[1:]
processor = Sam2Processor.from_pretrained(folder)
model = Sam2Model.from_pretrained(folder, dtype=torch.float32)
image = np.load(picture)
inputs = processor(images=image, input_points=[[[[float(x), float(y)]]]], input_labels=[[[1]]], return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs, multimask_output=False)
(masks,) = processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])
np.save(answer, masks[0, 0].numpy())
"""


def test_transformers_segments_what_we_segment(tmp_path: Path) -> None:
    """The checkpoint that ships, at its own input size: processors scale pictures, clicks and masks as we do."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers as oracle; install it with `pip install transformers`")
    drawn = draw_sample("nuclei").drawn
    image = np.repeat(drawn.image[8][..., None], 3, axis=2)
    label = int(np.bincount(drawn.labels[8][drawn.labels[8] > 0]).argmax())
    rows, columns = np.nonzero(drawn.labels[8] == label)
    x, y = float(columns.mean()), float(rows.mean())
    folder = convert_checkpoint("sam2.1_hiera_micro", tmp_path / "folder", dtype="fp32")
    np.save(tmp_path / "image.npy", image)
    arguments = [folder, tmp_path / "image.npy", x, y, tmp_path / "mask.npy"]
    done = subprocess.run(
        [sys.executable, "-c", SEGMENTS, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "mask.npy")

    predictor = SAM2ImagePredictor(load_model("sam2.1_hiera_micro", device="cpu", precision="fp32"))
    predictor.set_image(image)
    (ours,), _, _ = predictor.predict(np.array([[x, y]]), np.array([1]), multimask_output=False)
    both, either = (theirs & (ours > 0)).sum(), (theirs | (ours > 0)).sum()
    assert theirs.sum() > 50
    # their pictures are resized in another way by a few grey values
    assert both / either > 0.95


@pytest.mark.parametrize("name", config_names())
def test_every_configuration_has_one(name: str) -> None:
    config = load_config(name)
    with WithoutRandomWeights():
        weights = instantiate_model(config).state_dict()
    written = json.loads(json.dumps(hugging_face_config(config, weights)))
    trunk = written["vision_config"]["backbone_config"]

    assert sum(trunk["blocks_per_stage"]) == sum(key.endswith("attn.qkv.weight") for key in weights)
    assert written["vision_config"]["backbone_channel_list"] == trunk["embed_dim_per_stage"][::-1]
    assert written["enable_occlusion_spatial_embedding"] is ("no_obj_embed_spatial" in weights)
    assert written["enable_temporal_pos_encoding_for_object_pointers"] is ("obj_ptr_tpos_proj.weight" in weights)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('{"vision_config": {"backbone_config": {"image_size": [512, 512]}}}', "512"),
        ('{"vision_config": {"backbone_config": {"image_size": 256}}}', "256"),
        ('{"vision_config": {"backbone_config": {"image_size": [256, 512]}}}', None),
        ('{"vision_config": {}}', None),
        ("[]", None),
        ("no json", None),
    ],
)
def test_the_size_beside_weights(tmp_path: Path, text: str, size: str | None) -> None:
    assert image_size_beside(tmp_path / "model.safetensors") is None
    (tmp_path / "config.json").write_text(text)
    assert image_size_beside(tmp_path / "model.safetensors") == size

"""The layout of Hugging Face transformers, both ways."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sam2_core.checkpoints import config_names, instantiate_model, load_config
from sam2_core.checkpoints.huggingface import from_hugging_face, is_hugging_face, to_hugging_face
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.checkpoints.load import save_checkpoint
from sam2_core.errors import CheckpointError
from sam2_core.model.results import ImageFeatures
from sam2_core.model.sam2_base import SAM2Base


@pytest.mark.parametrize("name", config_names())
def test_there_and_back_is_the_same(name: str) -> None:
    with WithoutRandomWeights():
        weights = instantiate_model(load_config(name)).state_dict()
    converted = to_hugging_face(weights)
    back = from_hugging_face(converted)

    assert is_hugging_face(converted)
    assert not is_hugging_face(weights)
    assert not converted.keys() & (weights.keys() - {"mask_downsample.weight", "mask_downsample.bias"}) - {
        key for key in weights if key.startswith("memory_attention.")
    }
    assert back.keys() == weights.keys()
    assert all(back[key].shape == value.shape for key, value in weights.items())


def test_values_come_back_too(micro_weights: dict[str, Tensor]) -> None:
    back = from_hugging_face(to_hugging_face(micro_weights))

    assert all(torch.equal(back[key], value) for key, value in micro_weights.items())


@pytest.mark.parametrize(
    ("official", "theirs"),
    [
        ("image_encoder.trunk.blocks.3.norm1.weight", "vision_encoder.backbone.blocks.3.layer_norm1.weight"),
        ("image_encoder.neck.convs.0.conv.bias", "vision_encoder.neck.convs.0.bias"),
        ("sam_mask_decoder.iou_prediction_head.layers.2.bias", "mask_decoder.iou_prediction_head.proj_out.bias"),
        ("sam_mask_decoder.iou_prediction_head.layers.1.bias", "mask_decoder.iou_prediction_head.layers.0.bias"),
        ("obj_ptr_proj.layers.0.weight", "object_pointer_proj.proj_in.weight"),
        (
            "memory_encoder.mask_downsampler.encoder.4.weight",
            "memory_encoder.mask_downsampler.layers.1.layer_norm.weight",
        ),
        ("memory_encoder.mask_downsampler.encoder.12.weight", "memory_encoder.mask_downsampler.final_conv.weight"),
        ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    ],
)
def test_names_of_some_weights(tiny_weights: dict[str, Tensor], official: str, theirs: str) -> None:
    assert torch.equal(to_hugging_face(tiny_weights)[theirs], tiny_weights[official])


def test_files_of_older_versions_hold_the_projection_once(micro_weights: dict[str, Tensor]) -> None:
    converted = to_hugging_face(micro_weights)
    del converted["prompt_encoder.shared_embedding.positional_embedding"]

    assert from_hugging_face(converted).keys() == micro_weights.keys()


@pytest.mark.parametrize("convert", [to_hugging_face, from_hugging_face])
def test_a_weight_of_another_network_is_refused(convert) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CheckpointError, match=r"'detector\.weight' is not a weight of SAM 2"):
        convert({"detector.weight": torch.ones(1)})


@pytest.mark.soak
def test_transformers_computes_the_same_with_converted_weights(tmp_path: Path) -> None:
    """Image features, masks, scores, memories and attention to them, for SAM 2.1 tiny at 256 pixels."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers as oracle; install it with `pip install transformers`")
    torch.manual_seed(0)
    model = instantiate_model(load_config("sam2.1_hiera_t", ["model.image_size=256"])).eval()
    save_checkpoint(tmp_path / "model.safetensors", model.state_dict(), layout="hugging_face")
    inputs = {
        "image": torch.randn(1, 3, 256, 256),
        "point": torch.tensor([[100.0, 60.0]]),
        "mask": torch.rand(1, 1, 256, 256),
        "memory": torch.randn(1, 2 * 256 + 4, 64),
        "memory_position": torch.randn(1, 2 * 256 + 4, 64),
    }
    torch.save(inputs, tmp_path / "inputs.pt")
    program = Path(__file__).with_name("hugging_face_model.py")
    done = subprocess.run([sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = torch.load(tmp_path / "outputs.pt", weights_only=True)

    with torch.inference_mode():
        ours = compute(model, inputs)

    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, theirs[name], rtol=1e-4, atol=1e-4 * theirs[name].abs().max().item(), msg=name
        )


def compute(model: SAM2Base, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the other program computes, with our network."""
    features: ImageFeatures = model.forward_image(inputs["image"])
    embedding = model.image_embedding(features)
    point = (inputs["point"][None], torch.ones(1, 1, dtype=torch.int32))
    sparse, dense = model.sam_prompt_encoder(point, None, None)
    decoded = model.sam_mask_decoder(
        embedding, model.sam_prompt_encoder.get_dense_pe(), sparse, dense, True, False, features.maps[:2]
    )
    coarse = features.maps[-1]
    memory = model.memory_encoder(coarse, inputs["mask"], skip_mask_sigmoid=True)
    tokens = coarse.flatten(2).transpose(1, 2)
    attended = model.memory_attention(
        tokens,
        inputs["memory"],
        features.positions[-1].expand_as(coarse).flatten(2).transpose(1, 2),
        inputs["memory_position"],
        num_obj_ptr_tokens=4,
        grid=(16, 16),
    )
    return {
        "embedding": embedding,
        "masks": decoded.masks,
        "scores": decoded.predicted_ious,
        "object_score": decoded.object_score_logits,
        "memory": memory.features,
        "memory_position": memory.position.expand_as(memory.features),
        "attended": attended,
    }

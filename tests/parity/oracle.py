"""Run the official package on jobs and write what it computes. A program of its own, never imported by a test.

    python -m tests.parity.oracle JOBS.json

A job names a configuration, an image size, a seed for the weights, and the parts to run; results go to the `.npz`
file it names, which appears when it is complete. Where the official code is tied to 1024 pixels or to bf16 memory, it
is freed of that here.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sam2.sam2_video_predictor as official_video
import sam2.sam2_video_predictor_legacy as official_legacy_video
import sam2.utils.misc as official_misc
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import load_file
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.build_sam import build_sam2_video_predictor
from sam2.sam2_image_predictor import SAM2ImagePredictor
from scipy import ndimage
from torch import Tensor

from tests.parity import scenarios
from tests.parity.alive_weights import alive_state_dict
from tests.parity.component_inputs import ComponentInputs

Results = dict[str, np.ndarray]


class TorchWithoutBfloat16:
    """Stands for `torch` inside the video predictor, which rounds memories to bf16: here they stay float32."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def components_without_cuda(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and areas by scipy: the official kernel exists for CUDA only, and without it hole filling is skipped."""
    labels = np.zeros(masks.shape, np.int32)
    areas = np.zeros(masks.shape, np.int32)
    for index, mask in enumerate(masks[:, 0].numpy()):
        labels[index, 0], _ = ndimage.label(mask, np.ones((3, 3)))
        counts = np.bincount(labels[index, 0].ravel())
        counts[0] = 0
        areas[index, 0] = counts[labels[index, 0]]
    return torch.from_numpy(labels), torch.from_numpy(areas)


# Where the official package keeps the classes that a configuration of ours names.
OFFICIAL_MODULES = {
    "image_encoder": ("ImageEncoder", "FpnNeck"),
    "hieradet": ("Hiera",),
    "position_encoding": ("PositionEmbeddingSine",),
    "transformer": ("RoPEAttention",),
    "memory_attention": ("MemoryAttention", "MemoryAttentionLayer"),
    "memory_encoder": ("MemoryEncoder", "MaskDownSampler", "Fuser", "CXBlock"),
}
OFFICIAL_FOLDERS = {"image_encoder": "backbones.", "hieradet": "backbones.", "transformer": "sam."}


def official_targets() -> dict[str, str]:
    """Official path of each class, by its name."""
    paths = {
        name: f"sam2.modeling.{OFFICIAL_FOLDERS.get(module, '')}{module}.{name}"
        for module, names in OFFICIAL_MODULES.items()
        for name in names
    }
    return paths | {"SAM2Base": "sam2.sam2_video_predictor.SAM2VideoPredictor"}


def translated(node: Any) -> Any:
    """A configuration of ours with official classes."""
    if isinstance(node, dict):
        return {
            key: official_targets()[value.rsplit(".", 1)[-1]] if key == "_target_" else translated(value)
            for key, value in node.items()
        }
    return node


def build_trained(job: dict[str, Any]) -> Any:
    """The shipped checkpoint in the official classes, with the official postprocessing."""
    options = translated(OmegaConf.to_container(OmegaConf.load(job["config"])))["model"]
    options |= {"binarize_mask_from_pts_for_mem_enc": True, "fill_hole_area": 8}
    options["sam_mask_decoder_extra_args"] = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    model = instantiate(options)
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(job["checkpoint"]).items()})
    return model.eval()


def build(job: dict[str, Any]) -> Any:
    """The official video predictor (which is also the model) with alive weights."""
    if job["trained"]:
        return build_trained(job)
    size = job["image_size"]
    overrides = [f"++model.image_size={size}", *job["overrides"]]
    overrides += [
        f"++model.memory_attention.layer.{attention}.feat_sizes=[{size // 16},{size // 16}]"
        for attention in ("self_attention", "cross_attention")
    ]
    model = build_sam2_video_predictor(job["config"], None, device="cpu", hydra_overrides_extra=overrides)
    weights = alive_state_dict(model.state_dict(), job["seed"])
    for name, value in job["weights"].items():
        weights[name].fill_(value)
    model.load_state_dict(weights)
    return model


def image_predictor(model: Any, **options: Any) -> SAM2ImagePredictor:
    """The official image predictor, freed of its 1024-pixel feature sizes."""
    predictor = SAM2ImagePredictor(model, **options)
    predictor._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in (4, 8, 16)]
    return predictor


def run_components(model: Any) -> Results:
    """Encoder levels, prompt encoder, decoder, memory attention and memory encoder on given inputs."""
    given = ComponentInputs(model.image_size)
    results: Results = {"state_dict": scenarios.names_and_shapes(model)}
    trunk_levels: list[Tensor] = []
    hook = model.image_encoder.trunk.register_forward_hook(lambda module, inputs, levels: trunk_levels.extend(levels))
    encoded = model.forward_image(given.images)
    hook.remove()
    for level, feature in enumerate(trunk_levels):
        results[f"encoder/trunk_{level}"] = feature.numpy()
    for level, (feature, position) in enumerate(zip(encoded["backbone_fpn"], encoded["vision_pos_enc"], strict=True)):
        results[f"encoder/map_{level}"] = feature.numpy()
        results[f"encoder/position_{level}"] = position.numpy()

    results["prompt_encoder/dense_position"] = model.sam_prompt_encoder.get_dense_pe().numpy()
    for name, prompt in given.prompts().items():
        sparse, dense = model.sam_prompt_encoder(**prompt)
        results[f"prompt_encoder/{name}/sparse"] = sparse.numpy()
        results[f"prompt_encoder/{name}/dense"] = dense.numpy()

    for name, call in given.decoder_calls().items():
        masks, scores, tokens, object_scores = model.sam_mask_decoder(
            image_pe=model.sam_prompt_encoder.get_dense_pe(), **call
        )
        results[f"decoder/{name}/masks"] = masks.numpy()
        results[f"decoder/{name}/scores"] = scores.numpy()
        results[f"decoder/{name}/tokens"] = tokens.numpy()
        results[f"decoder/{name}/object_scores"] = object_scores.numpy()

    for name, memory in given.memories().items():
        fused = model.memory_attention(
            curr=[memory.current.flatten(2).permute(2, 0, 1)],
            curr_pos=[memory.current_position.flatten(2).permute(2, 0, 1)],
            memory=memory.tokens.transpose(0, 1),
            memory_pos=memory.token_positions.transpose(0, 1),
            num_obj_ptr_tokens=memory.pointer_tokens,
        )
        results[f"memory_attention/{name}"] = fused.permute(1, 2, 0).reshape(memory.current.shape).numpy()

    encoded_memory = model.memory_encoder(given.pixel_features, given.mask_values, skip_mask_sigmoid=True)
    results["memory_encoder/features"] = encoded_memory["vision_features"].numpy()
    results["memory_encoder/position"] = encoded_memory["vision_pos_enc"][0].numpy()
    return results


def run(job: dict[str, Any]) -> Results:
    """All parts of a job."""
    model = build(job)
    results: Results = {}
    parts: dict[str, Any] = {
        "components": lambda: run_components(model),
        "image": lambda: scenarios.play_image_predictor(image_predictor(model)),
        "image_cleaned": lambda: scenarios.play_cleaned_masks(
            image_predictor(model, max_hole_area=12.0, max_sprinkle_area=12.0)
        ),
        "video": lambda: scenarios.play_video_predictor(model, Path(job["frames"])),
        "video_short": lambda: scenarios.play_short_video(model, Path(job["frames"])),
        "options": lambda: scenarios.play_options(model, Path(job["frames"])),
        "nine_objects": lambda: scenarios.play_nine_objects(model, Path(job["frames"])),
        "joint": lambda: scenarios.play_joint_objects(model, Path(job["frames"])),
    }
    for name, settings in scenarios.GENERATOR_SETTINGS.items():
        parts[f"generator_{name}"] = lambda settings=settings: run_generator(model, settings)
    for part in job["parts"]:
        with torch.inference_mode():
            found = parts[part]()
        results |= {f"{part}/{name}": values for name, values in found.items()}
    return results


def run_generator(model: Any, settings: dict[str, Any]) -> Results:
    """One setting of the automatic mask generator."""
    generator = SAM2AutomaticMaskGenerator(model, **(scenarios.GENERATOR_DEFAULTS | settings))
    generator.predictor = image_predictor(model)
    return scenarios.play_generator(generator)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    official_video.torch = official_legacy_video.torch = TorchWithoutBfloat16()
    official_misc.get_connected_components = components_without_cuda
    for given_job in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        output = Path(given_job["output"])
        np.savez(output.with_suffix(".part.npz"), **run(given_job))
        output.with_suffix(".part.npz").rename(output)

"""Our side of a parity run: the same parts as the oracle's, with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sam2_core.checkpoints.build import build_sam2_video_predictor
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.parity import scenarios
from tests.parity.alive_weights import alive_state_dict
from tests.parity.component_inputs import ComponentInputs
from tests.parity.jobs import Job, shipped_weights

Results = dict[str, np.ndarray]


_built: dict[str, SAM2VideoPredictor] = {}


def model_of(job: Job) -> SAM2VideoPredictor:
    """Our video predictor (which is also the model) with a job's weights; the last one is kept."""
    if job.name not in _built:
        _built.clear()  # the largest takes a gigabyte, and tests of one job come one after another
        _built[job.name] = _build(job)
    return _built[job.name]


def _build(job: Job) -> SAM2VideoPredictor:
    overrides = [f"++model.image_size={job.image_size}", *job.overrides]
    checkpoint = shipped_weights() if job.trained else None
    model = build_sam2_video_predictor(
        job.config,
        checkpoint,
        device="cpu",
        hydra_overrides_extra=overrides,
        vos_optimized=job.compiled,
        precision="fp32",
    )
    assert isinstance(model, SAM2VideoPredictor)
    model.official_frame_count = True
    if not job.trained:
        weights = alive_state_dict(model.state_dict(), job.seed)
        for name, value in job.weights.items():
            weights[name].fill_(value)
        model.load_state_dict(weights)
    return model


def run(job: Job, part: str, frames: Path) -> Results:
    """One part of a job."""
    model = model_of(job)
    with torch.inference_mode():
        if part == "components":
            return run_components(model)
        if part == "image":
            return scenarios.play_image_predictor(SAM2ImagePredictor(model))
        if part == "image_cleaned":
            predictor = SAM2ImagePredictor(model, max_hole_area=12.0, max_sprinkle_area=12.0)
            return scenarios.play_cleaned_masks(predictor)
        if part == "video":
            return scenarios.play_video_predictor(model, frames)
        if part == "video_short":
            return scenarios.play_short_video(model, frames)
        if part == "options":
            return scenarios.play_options(model, frames)
        if part == "nine_objects":
            return scenarios.play_nine_objects(model, frames)
        if part == "joint":
            return scenarios.play_joint_objects(model, frames)
        settings = scenarios.GENERATOR_SETTINGS[part.removeprefix("generator_")]
        generator = SAM2AutomaticMaskGenerator(model, **(scenarios.GENERATOR_DEFAULTS | settings))
        return scenarios.play_generator(generator)


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
    for level, (feature, position) in enumerate(zip(encoded.maps, encoded.positions, strict=True)):
        results[f"encoder/map_{level}"] = feature.numpy()
        results[f"encoder/position_{level}"] = position.numpy()

    results["prompt_encoder/dense_position"] = model.sam_prompt_encoder.get_dense_pe().numpy()
    for name, prompt in given.prompts().items():
        sparse, dense = model.sam_prompt_encoder(**prompt)
        results[f"prompt_encoder/{name}/sparse"] = sparse.numpy()
        results[f"prompt_encoder/{name}/dense"] = dense.numpy()

    for name, call in given.decoder_calls().items():
        decoded = model.sam_mask_decoder(image_pe=model.sam_prompt_encoder.get_dense_pe(), **call)
        results[f"decoder/{name}/masks"] = decoded.masks.numpy()
        results[f"decoder/{name}/scores"] = decoded.predicted_ious.numpy()
        results[f"decoder/{name}/tokens"] = decoded.tokens.numpy()
        results[f"decoder/{name}/object_scores"] = decoded.object_score_logits.numpy()

    for name, memory in given.memories().items():
        fused = model.memory_attention(
            curr=memory.current.flatten(2).transpose(1, 2),
            curr_pos=memory.current_position.flatten(2).transpose(1, 2),
            memory=memory.tokens,
            memory_pos=memory.token_positions,
            num_obj_ptr_tokens=memory.pointer_tokens,
            grid=(given.side, given.side),
        )
        results[f"memory_attention/{name}"] = fused.transpose(1, 2).reshape(memory.current.shape).numpy()

    encoded_memory = model.memory_encoder(given.pixel_features, given.mask_values, skip_mask_sigmoid=True)
    results["memory_encoder/features"] = encoded_memory.features.numpy()
    results["memory_encoder/position"] = encoded_memory.position.numpy()
    return results

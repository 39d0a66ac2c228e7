"""What Hugging Face transformers computes with given weights. A program of its own, run by a test."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import Sam2VideoConfig, Sam2VideoModel


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    config = Sam2VideoConfig(
        image_size=256,
        prompt_encoder_config={"image_size": 256},
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {"model_type": "sam2_hiera_det_model", "image_size": [256, 256]},
            "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
        },
        memory_attention_rope_feat_sizes=[16, 16],
    )
    model = Sam2VideoModel(config).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    inputs = torch.load(folder / "inputs.pt", weights_only=True)
    with torch.inference_mode():
        features = model.get_image_features(inputs["image"], return_dict=True)
        maps, positions = features.fpn_hidden_states, features.fpn_position_encoding
        sizes = [(64, 64), (32, 32), (16, 16)]
        # tokens first, batch, channels: back to maps
        maps = [m.permute(1, 2, 0).unflatten(2, size) for m, size in zip(maps, sizes, strict=True)]
        coarse = maps[-1]
        embedding = coarse + model.no_memory_embedding.view(1, -1, 1, 1)
        sparse, dense = model.prompt_encoder(
            input_points=inputs["point"][None, None],
            input_labels=torch.ones(1, 1, 1, dtype=torch.int32),
            input_boxes=None,
            input_masks=None,
        )
        masks, scores, _, object_score = model.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            high_resolution_features=maps[:2],
        )
        memory, memory_position = model.memory_encoder(coarse, inputs["mask"])
        attended = model.memory_attention(
            current_vision_features=coarse.flatten(2).permute(2, 0, 1),
            current_vision_position_embeddings=positions[-1],
            memory=inputs["memory"].transpose(0, 1),
            memory_posision_embeddings=inputs["memory_position"].transpose(0, 1),
            num_object_pointer_tokens=4,
        )
    outputs = {
        "embedding": embedding,
        "masks": masks[:, 0],
        "scores": scores[:, 0],
        "object_score": object_score[:, 0],
        "memory": memory,
        "memory_position": memory_position.expand_as(memory).contiguous(),
        "attended": attended.transpose(0, 1).reshape(1, 256, 256),
    }
    torch.save({name: value.clone() for name, value in outputs.items()}, folder / "outputs.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

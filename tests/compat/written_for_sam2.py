"""A program that knows only ``sam2``: builds a small model, segments, tracks, and calls the network's parts.

python -m tests.compat.written_for_sam2 RESULTS.npz
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES, _load_checkpoint, build_sam2, build_sam2_video_predictor
from sam2.modeling.backbones.hieradet import MultiScaleBlock
from sam2.modeling.backbones.utils import window_partition, window_unpartition
from sam2.modeling.position_encoding import apply_rotary_enc, compute_axial_cis
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_next_point, sample_box_points, sample_random_points_from_errors
from sam2.sam2_image_predictor import SAM2ImagePredictor
from sam2.utils.amg import build_point_grid, mask_to_rle_pytorch
from sam2.utils.misc import _load_img_as_tensor, concat_points, get_sdpa_settings, load_video_frames, mask_to_box
from sam2.utils.transforms import SAM2Transforms

from tests.parity.alive_weights import alive_state_dict

SIZE = 128
OVERRIDES = [
    f"++model.image_size={SIZE}",
    "++model.image_encoder.trunk.embed_dim=16",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "++model.memory_attention.num_layers=2",
    "++model.memory_attention.layer.dim_feedforward=64",
    "++model.memory_attention.layer.self_attention.feat_sizes=[8,8]",
    "++model.memory_attention.layer.cross_attention.feat_sizes=[8,8]",
]
CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"


def alive(model: SAM2Base) -> SAM2Base:
    _load_checkpoint(model, None)
    with tempfile.TemporaryDirectory() as folder:
        torch.save({"model": alive_state_dict(model.state_dict(), 5)}, f"{folder}/alive.pt")
        _load_checkpoint(model, f"{folder}/alive.pt")
    return model


def scene(count: int = 1) -> np.ndarray:
    y, x = np.mgrid[:60, :90]
    frames = np.full((count, 60, 90, 3), 50, np.uint8)
    for index, frame in enumerate(frames):
        frame[np.hypot(y - 30, x - 35 - 2 * index) < 14] = (210, 160, 90)
    return frames


def image_results() -> dict[str, np.ndarray]:
    model = alive(build_sam2(CONFIG, None, device="cpu", hydra_overrides_extra=OVERRIDES))
    assert isinstance(model, SAM2Base)
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]
    predictor.set_image(scene()[0])
    masks, ious, low = predictor.predict(np.array([[35, 30]]), np.array([1]), return_logits=True)
    results = {"masks": masks, "ious": ious, "low": low}

    # two objects with one and two points, padded; and a box as its corners
    padded = np.array([[[35, 30], [-10, -10]], [[60, 20], [35, 30]]])
    results["padded"] = predictor.predict(padded, np.array([[1, -1], [1, 0]]), return_logits=True)[0]
    results["corners"] = predictor.predict(np.array([[20, 15], [50, 45]]), np.array([2, 3]), return_logits=True)[0]

    # what fine-tuning scripts do: the parts of the model by hand
    mask_input, coords, labels, _ = predictor._prep_prompts([[35, 30]], [1], None, None, True)
    assert mask_input is None
    sparse, dense = model.sam_prompt_encoder(points=(coords, labels), boxes=None, masks=None)
    decoded, scores, _, _ = model.sam_mask_decoder(
        image_embeddings=predictor._features["image_embed"][-1].unsqueeze(0),
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
        repeat_image=False,
        high_res_features=[level[-1].unsqueeze(0) for level in predictor._features["high_res_feats"]],
    )
    full = predictor._transforms.postprocess_masks(decoded, predictor._orig_hw[-1])
    results |= {"tuned": full, "scores": scores}

    images = SAM2Transforms(SIZE, 0.0).forward_batch([scene()[0]])
    encoded = model.forward_image(images)
    _, features, positions, sizes = model._prepare_backbone_features(encoded)
    results |= {f"feature {i}": level for i, level in enumerate(features)}
    results |= {f"position {i}": level for i, level in enumerate(positions)}
    results["sizes"] = np.array(sizes)
    results["vision"] = encoded["vision_features"]
    heads = model._forward_sam_heads(
        encoded["backbone_fpn"][-1],
        {"point_coords": coords, "point_labels": labels},
        high_res_features=encoded["backbone_fpn"][:-1],
        multimask_output=True,
    )
    results |= {f"head {i}": value for i, value in enumerate(heads)}
    memory = model.memory_encoder(encoded["backbone_fpn"][-1], heads[4], skip_mask_sigmoid=True)
    results |= {"memory": memory["vision_features"], "memory position": memory["vision_pos_enc"][0]}
    memories, places = (t.flatten(2).permute(2, 0, 1) for t in (memory["vision_features"], memory["vision_pos_enc"][0]))
    attended = model.memory_attention([features[-1]], memories, [positions[-1]], places, 0)
    results["attended"] = attended

    results |= tracking_by_hand(model, scene(3))
    _, _, low_unprompted = predictor.predict()
    results["without a prompt"] = low_unprompted

    generator = SAM2AutomaticMaskGenerator(model, points_per_side=3, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    generator.predictor._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]
    generator.predictor.set_image(scene()[0])
    refined, refined_ious = generator.refine_with_m2m(
        torch.tensor([[50.0, 60.0], [20.0, 90.0]]), torch.ones(2, dtype=torch.int32), torch.as_tensor(low[:2]), 1
    )
    results |= {"refined": refined, "refined ious": refined_ious}
    records = generator.generate(scene()[0])
    results["areas"] = np.array(sorted(record["area"] for record in records))
    return results


def video_results() -> dict[str, np.ndarray]:
    delta = "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.3"
    overrides = [*OVERRIDES, "++model.fill_hole_area=3", delta]
    predictor = alive(build_sam2_video_predictor(CONFIG, None, device="cpu", hydra_overrides_extra=overrides))
    chosen = [predictor.fill_hole_area, predictor.sam_mask_decoder.dynamic_multimask_stability_delta]
    predictor.fill_hole_area = 0  # the official package fills holes only where its CUDA extension was compiled
    with tempfile.TemporaryDirectory() as folder:
        for index, frame in enumerate(scene(4)):
            Image.fromarray(frame).save(Path(folder) / f"{index:05d}.jpg", quality=95)
        frames, height, width = load_video_frames(folder, SIZE, True, compute_device=torch.device("cpu"))
        picture, *picture_size = _load_img_as_tensor(f"{folder}/00002.jpg", SIZE)
        state = predictor.init_state(folder)
        _, ids, logits = predictor.add_new_points_or_box(
            inference_state=state, frame_idx=0, obj_id=7, points=np.array([[35, 30]], np.float32), labels=np.array([1])
        )
        corners = {"points": [[20, 15], [50, 45], [-10, -10]], "labels": [2, 3, -1]}
        _, _, framed = predictor.add_new_points_or_box(predictor.init_state(folder), 0, 1, **corners)
        by_hand = predictor_by_hand(predictor, state)
        tracked = [
            (index, logits) for index, _, logits in predictor.propagate_in_video(state, max_frame_num_to_track=2)
        ]
    return by_hand | {
        "who wins": np.array(chosen),
        "frames": frames,
        "frame size": np.array([height, width]),
        "picture": picture,
        "picture size": np.array(picture_size),
        "ids": np.array(ids),
        "clicked": logits,
        "framed": framed,
        "tracked frames": np.array([index for index, _ in tracked]),
        "tracked": torch.stack([logits for _, logits in tracked]),
    }


def tracking_by_hand(model: SAM2Base, frames: np.ndarray) -> dict[str, np.ndarray]:
    """What training code and hand-written trackers do: frame by frame through the network, with their own records."""
    transforms = SAM2Transforms(SIZE, 0.0)
    encoded = model.forward_image(transforms.forward_batch(list(frames)))
    # as if every frame came alone
    levels = [
        {key: [level[i : i + 1] for level in encoded[key]] for key in ("backbone_fpn", "vision_pos_enc")}
        for i in range(len(frames))
    ]
    records = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    points = {"point_coords": torch.tensor([[[50.0, 60.0]]]), "point_labels": torch.tensor([[1]], dtype=torch.int32)}
    results = {"multimask": np.array([model._use_multimask(True, points), model._use_multimask(False, None)])}
    for index, level in enumerate(levels):
        _, features, positions, sizes = model._prepare_backbone_features(level)
        step = (
            index,
            index == 0,
            features,
            positions,
            sizes,
            points if index == 0 else None,
            None,
            records,
            len(levels),
        )
        current, heads, high_res, fused = model._track_step(*step, False, None)
        assert set(current) == {"point_inputs", "mask_inputs"}
        assert [tuple(level.shape[-2:]) for level in high_res] == sizes[:-1]
        results |= {f"step {index} {name}": value for name, value in zip(("low", "pointer"), heads[3:6:2], strict=True)}
        results[f"step {index} fused"] = fused
        out = model.track_step(*step, track_in_reverse=False, run_mem_encoder=True)
        results |= {f"step {index} {key}": out[key] for key in ("pred_masks_high_res", "maskmem_features")}
        results |= {f"step {index} {key}": out[key] for key in ("object_score_logits", "obj_ptr")}
        results[f"step {index} position"] = out["maskmem_pos_enc"][-1]
        records["cond_frame_outputs" if index == 0 else "non_cond_frame_outputs"][index] = out
    model._encode_memory_in_output(
        features, sizes, points, False, out["pred_masks_high_res"], out["object_score_logits"], out
    )
    assert out["maskmem_features"] is out["maskmem_pos_enc"] is None
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 30:80, 40:90] = 1
    masked = model._use_mask_as_output(levels[0]["backbone_fpn"][-1], levels[0]["backbone_fpn"][:-1], mask)
    results |= {f"mask as output {i}": value for i, value in enumerate(masked)}
    both = torch.cat([heads[4], -heads[4].flip(3)])
    results["apart"] = model._apply_non_overlapping_constraints(both)
    return results


def predictor_by_hand(predictor: SAM2Base, state: dict) -> dict[str, np.ndarray]:
    """The private methods of the video predictor, on a video whose object 7 was clicked and tracked."""
    _, _, features, positions, sizes = predictor._get_image_feature(state, 1, 2)
    results = {"feature of two": features[-1], "position of two": positions[-1], "feature sizes": np.array(sizes)}
    index = predictor._obj_id_to_idx(state, 7)
    assert (predictor._obj_idx_to_id(state, index), predictor._get_obj_num(state)) == (7, 1)
    records = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    points = {"point_coords": torch.tensor([[[50.0, 60.0]]]), "point_labels": torch.tensor([[1]], dtype=torch.int32)}
    first, _ = predictor._run_single_frame_inference(state, records, 0, 1, True, points, None, False, True)
    # the official predictor rounds memories to bf16, ours keeps the model's dtype: the same for both here
    first["maskmem_features"] = first["maskmem_features"].bfloat16().float()
    records["cond_frame_outputs"][0] = first
    second, on_device = predictor._run_single_frame_inference(state, records, 1, 1, False, None, None, False, False)
    results |= {"by hand": second["pred_masks"], "by hand pointer": second["obj_ptr"], "on device": on_device}
    assert second["maskmem_features"] is None
    large = torch.nn.functional.interpolate(first["pred_masks"], (SIZE, SIZE), mode="bilinear")
    memory, places = predictor._run_memory_encoder(state, 0, 1, large, first["object_score_logits"], True)
    results |= {"memory by hand": memory.float(), "memory position by hand": places[-1]}
    together = predictor._consolidate_temp_output_across_obj(state, 0, True, consolidate_at_video_res=True)
    results["together"] = together["pred_masks_video_res"]
    results["together, low"] = predictor._consolidate_temp_output_across_obj(state, 0, True)["pred_masks"]
    results["at video size"] = predictor._get_orig_video_res_output(state, second["pred_masks"])[1]
    return results


def helper_results() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    truth, predicted = torch.zeros(2, 3, 1, 20, 30, dtype=torch.bool)
    truth[:, :, 4:12, 5:19] = True
    predicted[:2, :, 6:15, 9:22] = True
    boxes, box_labels = sample_box_points(truth)
    points, labels = sample_random_points_from_errors(truth, predicted, 3)
    uniform, uniform_labels = get_next_point(truth, truth, "uniform")
    tokens = torch.randn(2, 7, 10, 8)
    windows, padded = window_partition(tokens, 4)
    block = MultiScaleBlock(8, 16, 2, q_stride=(2, 2), window_size=4).eval()
    block.load_state_dict(alive_state_dict(block.state_dict(), 1))
    query, key = torch.randn(1, 2, 12, 16), torch.randn(1, 2, 24, 16)
    turned = apply_rotary_enc(query, key, compute_axial_cis(16, 4, 3), repeat_freqs_k=True)
    return {
        "boxes": boxes,
        "box labels": box_labels,
        "points": points,
        "labels": labels,
        "uniform": uniform,
        "uniform labels": uniform_labels,
        "mask boxes": mask_to_box(torch.stack([truth[0], predicted[2]])),
        "windows": windows,
        "padded": np.array(padded),
        "restored": window_unpartition(windows, 4, padded, (7, 10)),
        "block": block(torch.randn(2, 8, 8, 8)),
        "turned query": turned[0],
        "turned key": turned[1],
        "grid": build_point_grid(5),
        "rle": np.array(mask_to_rle_pytorch(truth[:, 0])[0]["counts"]),
        "joined": concat_points(concat_points(None, points, labels), points, labels)["point_coords"],
        "sdpa": np.array(get_sdpa_settings()),
        "hf": np.array(sorted(str(item) for item in HF_MODEL_ID_TO_FILENAMES.items())),
        "transformed": SAM2Transforms(64, 0.0)(scene()[0]),
    }


def main() -> None:
    with torch.no_grad():
        results = image_results() | video_results() | helper_results()
    np.savez(sys.argv[1], **{name: np.asarray(value) for name, value in results.items()})


if __name__ == "__main__":
    main()

"""The whole network: every option constructed and run, any size, every dtype, objects and their memories."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.model import NO_OBJ_SCORE, FrameOutput, ImageFeatures, MemoryBank, PointPrompts, SAM2Base
from tests.model.small_models import MEMORY_WIDTH, OPTIONS_2_1, WIDTH, noise, small_model


def one_click(batch: int = 1, x: float = 40.0, y: float = 60.0) -> PointPrompts:
    """A click on each of `batch` objects."""
    return PointPrompts(
        torch.tensor([[[x, y]]]).expand(batch, -1, -1), torch.ones(batch, 1, dtype=torch.int32).expand(batch, -1)
    )


def frames(model: SAM2Base, count: int, batch: int = 1, seed: int = 0) -> list[ImageFeatures]:
    """Features of a short stack, each frame for all objects."""
    images = noise(count, 3, *model.input_size, seed=seed)
    features = model.forward_image(images)
    return [features.select(index).expand(batch) for index in range(count)]


def track(model: SAM2Base, stack: list[ImageFeatures], prompts: Any, **first: Any) -> list[FrameOutput]:
    """Prompt the first frame and follow."""
    bank = MemoryBank()
    outputs = []
    for index, features in enumerate(stack):
        is_first = index == 0
        output = model.track_step(
            index,
            is_first,
            features,
            prompts if is_first else None,
            first.get("mask") if is_first else None,
            bank,
            len(stack),
        )
        (bank.conditioning if is_first else bank.recent)[index] = output
        outputs.append(output)
    return outputs


@pytest.mark.parametrize("size", [128, (64, 160), (96, 32)])
def test_any_multiple_of_32(size: Any) -> None:
    model = small_model(size)
    height, width = model.input_size

    with torch.inference_mode():
        outputs = track(model, frames(model, 3, batch=2), one_click(2))

    for output in outputs:
        assert output.low_res_masks.shape == (2, 1, height // 4, width // 4)
        assert output.high_res_masks.shape == (2, 1, height, width)
        assert output.object_pointer.shape == (2, WIDTH)
        assert output.memory is not None
        assert output.memory.features.shape == (2, MEMORY_WIDTH, height // 16, width // 16)
        assert torch.isfinite(output.low_res_masks).all()
    assert outputs[0].low_res_multimasks.shape[1] == 3


@pytest.mark.parametrize("size", [100, 0, (64, 65), -32])
def test_other_sizes_are_refused(size: Any) -> None:
    with pytest.raises(ConfigError, match="32"):
        small_model(size)


# Every option on its own, at a value SAM 2.1 does not choose; some need another one with them.
OTHER_OPTIONS: list[dict[str, Any]] = [
    {"num_maskmem": 0},
    {"num_maskmem": 2},
    {"sigmoid_scale_for_mem_enc": 1.0, "sigmoid_bias_for_mem_enc": 0.0},
    {"binarize_mask_from_pts_for_mem_enc": True},
    {"use_mask_input_as_output_without_sam": False},
    {"max_cond_frames_in_attn": 4},
    {"directly_add_no_mem_embed": False, "memory_width": WIDTH},
    {"use_high_res_features_in_sam": False},
    {"multimask_output_in_sam": False},
    {"multimask_min_pt_num": 1, "multimask_max_pt_num": 3},
    {"multimask_output_for_tracking": False},
    {"use_multimask_token_for_obj_ptr": False},
    {"iou_prediction_use_sigmoid": False},
    {"memory_temporal_stride_for_eval": 3},
    {"non_overlap_masks_for_mem_enc": True},
    {"use_obj_ptrs_in_encoder": False, "fixed_no_obj_ptr": False},
    {"max_obj_ptrs_in_encoder": 2},
    {"add_tpos_enc_to_obj_ptrs": False, "proj_tpos_enc_in_obj_ptrs": False},
    {"proj_tpos_enc_in_obj_ptrs": False},
    {"use_signed_tpos_enc_to_obj_ptrs": False},
    {"only_obj_ptrs_in_the_past_for_eval": False},
    {"pred_obj_scores": False, "pred_obj_scores_mlp": False, "fixed_no_obj_ptr": False},
    {"pred_obj_scores_mlp": False},
    {"fixed_no_obj_ptr": False},
    {"soft_no_obj_ptr": True},
    {"use_mlp_for_obj_ptr_proj": False},
    {"no_obj_embed_spatial": False},
    {
        "sam_mask_decoder_extra_args": {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        }
    },
]


@pytest.mark.parametrize(
    "options", OTHER_OPTIONS, ids=lambda options: "-".join(f"{k}={v}" for k, v in options.items())[:80]
)
@pytest.mark.parametrize("prompt", ["click", "mask"])
def test_every_option_runs(options: dict[str, Any], prompt: str) -> None:
    model = small_model(64, **options)
    mask = (noise(2, 1, 64, 64) > 0).float()

    with torch.inference_mode():
        stack = frames(model, 3, batch=2)
        outputs = track(model, stack, one_click(2)) if prompt == "click" else track(model, stack, None, mask=mask)

    assert all(torch.isfinite(output.low_res_masks).all() for output in outputs)
    assert all(torch.isfinite(output.object_pointer).all() for output in outputs)
    assert all((output.memory is None) == (model.num_maskmem == 0) for output in outputs)


def test_the_options_cover_the_constructor() -> None:
    import inspect

    accepted = set(inspect.signature(SAM2Base.__init__).parameters) - {
        "self", "image_encoder", "memory_attention", "memory_encoder", "image_size",
        # One stride for all official models; see test_compile.
        "backbone_stride", "compile_image_encoder",
    }  # fmt: skip
    assert accepted == set().union(OPTIONS_2_1, *OTHER_OPTIONS) - {"memory_width"}


@pytest.mark.parametrize(
    "options",
    [
        {"proj_tpos_enc_in_obj_ptrs": True, "add_tpos_enc_to_obj_ptrs": False},
        {"fixed_no_obj_ptr": True, "pred_obj_scores": False, "pred_obj_scores_mlp": False},
        {"fixed_no_obj_ptr": True, "use_obj_ptrs_in_encoder": False},
    ],
)
def test_contradicting_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs"):
        small_model(64, **options)


def test_objects_of_a_batch_do_not_see_each_other() -> None:
    model = small_model(64)
    points = PointPrompts(torch.tensor([[[10.0, 20.0]], [[50.0, 30.0]]]), torch.ones(2, 1, dtype=torch.int32))

    with torch.inference_mode():
        together = track(model, frames(model, 3, batch=2), points)
        alone = track(model, frames(model, 3), PointPrompts(points.coords[1:], points.labels[1:]))

    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both.low_res_masks[1:], one.low_res_masks, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(both.object_pointer[1:], one.object_pointer, atol=1e-3, rtol=1e-3)


def test_the_prompt_decides_what_is_tracked() -> None:
    model = small_model(64)

    with torch.inference_mode():
        stack = frames(model, 3)
        first, second = (track(model, stack, one_click(x=x, y=20.0)) for x in (10.0, 50.0))

    for one, other in zip(first, second, strict=True):
        assert (one.low_res_masks - other.low_res_masks).abs().mean() > 0.01


def test_candidates_for_one_click_only() -> None:
    model = small_model(64)
    two = PointPrompts(torch.zeros(1, 2, 2), torch.ones(1, 2))

    assert model.use_multimask(True, one_click())
    assert model.use_multimask(False, None)
    assert not model.use_multimask(True, two)
    assert not small_model(64, multimask_output_for_tracking=False).use_multimask(False, None)
    assert not small_model(64, multimask_output_in_sam=False).use_multimask(True, one_click())


def test_best_candidate_has_the_highest_predicted_iou() -> None:
    model = small_model(64)

    with torch.inference_mode():
        (output,) = track(model, frames(model, 1, batch=2), one_click(2))

    for index, best in enumerate(output.predicted_ious.argmax(1).tolist()):
        assert torch.equal(output.low_res_masks[index, 0], output.low_res_multimasks[index, best])
        assert torch.equal(output.high_res_masks[index, 0], output.high_res_multimasks[index, best])
    enlarged = F.interpolate(output.low_res_masks, (64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(output.high_res_masks, enlarged)


def absent(model: SAM2Base) -> SAM2Base:
    """The same network, sure that no object is there."""
    model.sam_mask_decoder.pred_obj_score_head.layers[2].bias.data.fill_(-50.0)
    return model


def test_absent_objects_have_no_mask_and_their_own_pointer() -> None:
    model = absent(small_model(64))

    with torch.inference_mode():
        (output,) = track(model, frames(model, 1), one_click())

    assert (output.low_res_masks == NO_OBJ_SCORE).all()
    torch.testing.assert_close(output.object_pointer, model.no_obj_ptr)


def test_absent_objects_mark_their_memory() -> None:
    model = absent(small_model(64))

    with torch.inference_mode():
        (features,) = frames(model, 1)
        masks = torch.full((1, 1, 64, 64), -1024.0)
        gone = model.encode_memory(features, masks, torch.tensor([[-1.0]]), False)
        there = model.encode_memory(features, masks, torch.tensor([[1.0]]), False)

    assert model.no_obj_embed_spatial is not None
    expected = model.no_obj_embed_spatial[..., None, None].expand_as(gone.features)
    torch.testing.assert_close(gone.features - there.features, expected, atol=1e-5, rtol=1e-5)


def test_soft_pointers_mix() -> None:
    model = small_model(64, soft_no_obj_ptr=True)
    model.sam_mask_decoder.pred_obj_score_head.layers[2].weight.data.zero_()
    model.sam_mask_decoder.pred_obj_score_head.layers[2].bias.data.zero_()

    with torch.inference_mode():
        (half,) = track(model, frames(model, 1), one_click())
        hard = small_model(64)
        (full,) = track(hard, frames(hard, 1), one_click())

    torch.testing.assert_close(half.object_pointer, 0.5 * full.object_pointer + 0.5 * model.no_obj_ptr)


def test_mask_prompts_are_the_result() -> None:
    model = small_model(64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 10:30, 20:50] = 1

    with torch.inference_mode():
        (output,) = track(model, frames(model, 1, batch=2), None, mask=mask)

    assert torch.equal(output.high_res_masks > 0, mask > 0)
    assert output.object_score_logits.tolist() == [[10.0], [-10.0]]
    torch.testing.assert_close(output.object_pointer[1:], model.no_obj_ptr)
    assert output.predicted_ious.tolist() == [[1.0], [1.0]]


def test_earlier_logits_guide_a_correction() -> None:
    model = small_model(64)

    with torch.inference_mode():
        (features,) = frames(model, 1)
        arguments: dict[str, Any] = {"run_mem_encoder": False, "memory": MemoryBank(), "num_frames": 1}
        plain = model.track_step(0, True, features, one_click(), None, **arguments)
        guided = model.track_step(
            0, True, features, one_click(), None, prev_sam_mask_logits=noise(1, 1, 16, 16) * 8, **arguments
        )
        with pytest.raises(InvalidInputError, match="prev_sam_mask_logits"):
            model.track_step(0, True, features, None, None, prev_sam_mask_logits=plain.low_res_masks, **arguments)

    assert plain.memory is None
    assert (plain.low_res_masks - guided.low_res_masks).abs().mean() > 0.01


def test_masks_of_any_size_are_resized_to_the_mask_grid() -> None:
    model = small_model(64)
    mask = noise(1, 1, 64, 64)

    with torch.inference_mode():
        (features,) = frames(model, 1)
        embedding, fine = model.image_embedding(features), features.maps[:-1]
        found = model.forward_sam_heads(embedding, one_click(), mask, fine)
        small = F.interpolate(mask, (16, 16), mode="bilinear", align_corners=False, antialias=True)
        expected = model.forward_sam_heads(embedding, one_click(), small, fine)

    torch.testing.assert_close(found.low_res_masks, expected.low_res_masks)


def test_a_pixel_has_one_owner() -> None:
    masks = noise(4, 1, 8, 8) * 12

    alone = SAM2Base.apply_non_overlapping_constraints(masks)

    owners = masks.argmax(0, keepdim=True)
    for index in range(4):
        mine = (owners == index)[0]
        assert torch.equal(alone[index][mine], masks[index][mine])
        assert torch.equal(alone[index][~mine], masks[index][~mine].clamp(max=-10))
    assert torch.equal(SAM2Base.apply_non_overlapping_constraints(masks[:1]), masks[:1])


def test_clicked_masks_are_remembered_as_zeros_and_ones() -> None:
    model = small_model(64, binarize_mask_from_pts_for_mem_enc=True)

    with torch.inference_mode():
        (features,) = frames(model, 1)
        weak, strong = (
            model.encode_memory(features, noise(1, 1, 64, 64) * gain, torch.ones(1, 1), True) for gain in (0.1, 50.0)
        )
        tracked = model.encode_memory(features, noise(1, 1, 64, 64) * 0.1, torch.ones(1, 1), False)

    assert torch.equal(weak.features, strong.features)
    assert not torch.allclose(weak.features, tracked.features)


def test_nothing_to_remember_is_refused() -> None:
    model = small_model(64)

    with torch.inference_mode():
        (features,) = frames(model, 1)
        with pytest.raises(InvalidInputError, match="conditioning"):
            model.track_step(3, False, features, None, None, MemoryBank(), 5)
        forgotten = model.track_step(0, True, features, one_click(), None, MemoryBank(), 5, run_mem_encoder=False)
        model.use_obj_ptrs_in_encoder = False
        with pytest.raises(InvalidInputError, match="memory"):
            model.track_step(3, False, features, None, None, MemoryBank({0: forgotten}), 5)


def test_rectangular_rotations_are_those_of_the_grid() -> None:
    """A wide model is the same network as a tall one on transposed data only if x and y keep their meaning."""
    wide, tall = small_model((64, 128)), small_model((128, 64))

    with torch.inference_mode():
        outputs = [track(model, frames(model, 2), one_click(x=30.0, y=30.0))[-1] for model in (wide, tall)]

    assert outputs[0].low_res_masks.shape == (1, 1, 16, 32)
    assert not torch.allclose(outputs[0].low_res_masks, outputs[1].low_res_masks.transpose(2, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types_work_without_autocast(dtype: torch.dtype) -> None:
    exact, narrow = small_model(64), small_model(64).to(dtype)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 10:40, 20:50] = 1

    with torch.inference_mode():
        for prompts in ({"prompts": one_click()}, {"prompts": None, "mask": mask}):
            expected = track(exact, frames(exact, 2), **prompts)
            found = track(narrow, frames(narrow, 2), **prompts)
            for one, other in zip(expected, found, strict=True):
                assert other.low_res_masks.dtype == torch.float32
                assert other.object_pointer.dtype == dtype
                assert other.memory is not None
                assert other.memory.features.dtype == dtype
                agreement = ((one.low_res_masks > 0) == (other.low_res_masks > 0)).float().mean()
                assert agreement > 0.9
    assert narrow.dtype == dtype


def test_inputs_of_another_dtype_are_taken() -> None:
    model = small_model(64)
    images = noise(1, 3, 64, 64)

    with torch.inference_mode():
        assert model.forward_image(images.double()).maps[-1].dtype == torch.float32
        assert model.bfloat16().forward_image(images).maps[-1].dtype == torch.bfloat16


def test_float64_is_the_same_network() -> None:
    single, double = small_model(64), small_model(64).double()

    with torch.inference_mode():
        for one, other in zip(
            track(single, frames(single, 3), one_click()), track(double, frames(double, 3), one_click()), strict=True
        ):
            torch.testing.assert_close(one.low_res_masks, other.low_res_masks.float(), atol=1e-2, rtol=1e-3)


def test_training_reaches_every_weight() -> None:
    model = small_model(64, soft_no_obj_ptr=True).train()
    images = noise(2, 3, 64, 64)
    features = model.forward_image(images)
    bank = MemoryBank()
    total: Tensor = torch.zeros(())
    mask = (noise(1, 1, 64, 64) > 0).float()
    for index, prompts, given in ((0, None, mask), (1, None, None)):
        output = model.track_step(index, index == 0, features.select(index), prompts, given, bank, 2)
        bank.conditioning[index] = output
        assert output.memory is not None
        total = total + output.low_res_multimasks.square().mean() + output.predicted_ious.sum()
        total = total + output.object_score_logits.sum() + output.memory.features.square().mean()
    for count in (2, 5):
        points = PointPrompts(noise(1, count, 2) * 64, torch.tensor([[-1, 0, 1, 2, 3][:count]]))
        clicked = model.track_step(0, True, features.select(0), points, None, MemoryBank(), 2)
        total = total + clicked.low_res_masks.square().mean() + clicked.predicted_ious.sum()
    total.backward()

    dead = {name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()}
    # Not read on these two frames: other distances in time, absence, and what the mask prompt replaces.
    assert dead <= {"no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial", "maskmem_tpos_enc"} | {
        name for name in dead if name.endswith("k_proj.bias")
    }


def test_models_can_be_copied_and_saved() -> None:
    model = small_model(64)
    with torch.inference_mode():
        (expected,) = track(model, frames(model, 1), one_click())
        (found,) = track(copy.deepcopy(model), frames(model, 1), one_click())

    assert torch.equal(expected.low_res_masks, found.low_res_masks)


def test_nothing_is_moved_to_a_device_at_construction() -> None:
    with torch.device("meta"):
        model = SAM2Base(*_parts(), image_size=64, **OPTIONS_2_1)

    assert {tensor.device.type for tensor in itertools.chain(model.parameters(), model.buffers())} == {"meta"}
    assert model.device.type == "meta"


def _parts() -> tuple[Any, Any, Any]:
    from tests.model.small_models import small_encoder, small_memory_attention, small_memory_encoder

    return small_encoder(), small_memory_attention(), small_memory_encoder()

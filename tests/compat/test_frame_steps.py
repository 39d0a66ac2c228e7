"""The official steps of one frame give what our typed step gives; tests/test_compat.py compares with the official."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sam2_core.compat.network import SAM2Base, speak_official
from sam2_core.errors import InvalidInputError
from sam2_core.model.results import MemoryBank, PointPrompts
from tests.model.small_models import noise, small_model

SIZE = 128
POINTS = {"point_coords": torch.tensor([[[40.0, 60.0]]]), "point_labels": torch.tensor([[1]])}


@pytest.fixture(scope="module")
def model() -> SAM2Base:
    return speak_official(small_model(SIZE))


def assert_close(found: Tensor, expected: Tensor) -> None:
    """The same up to the order of sums: features come in another layout."""
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def nothing() -> dict[str, dict[int, Any]]:
    return {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}


def official_step(model: SAM2Base, image: Tensor, index: int, records: dict[str, Any], **options: Any) -> Any:
    _, features, positions, sizes = model._prepare_backbone_features(model.forward_image(image))
    points = POINTS if index == 0 else None
    return model.track_step(index, index == 0, features, positions, sizes, points, None, records, 3, **options)


@torch.no_grad()
def test_frame_by_frame_either_way(model: SAM2Base) -> None:
    images = noise(3, 3, SIZE, SIZE)
    records, bank = nothing(), MemoryBank()
    for index in range(3):
        features = model.forward_image(images[index : index + 1])
        points = PointPrompts(POINTS["point_coords"], POINTS["point_labels"]) if index == 0 else None
        ours = model.track_step(index, index == 0, features, points, None, bank, 3)
        official = official_step(model, images[index : index + 1], index, records)
        (bank.conditioning if index == 0 else bank.recent)[index] = ours
        records["cond_frame_outputs" if index == 0 else "non_cond_frame_outputs"][index] = official

        assert_close(official["pred_masks"], ours.low_res_masks)
        assert_close(official["pred_masks_high_res"], ours.high_res_masks)
        assert_close(official["obj_ptr"], ours.object_pointer)
        assert_close(official["object_score_logits"], ours.object_score_logits)
        assert_close(official["maskmem_features"], ours.memory.features)
        assert_close(official["maskmem_pos_enc"][-1], ours.memory.position)


@torch.no_grad()
def test_without_the_memory_encoder_there_is_none(model: SAM2Base) -> None:
    out = official_step(model, noise(1, 3, SIZE, SIZE), 0, nothing(), run_mem_encoder=False)

    assert out["maskmem_features"] is None
    assert out["maskmem_pos_enc"] is None


def test_in_training_the_object_score_is_left_out_and_gradients_flow() -> None:
    model = speak_official(small_model(SIZE)).train()
    out = official_step(model, noise(1, 3, SIZE, SIZE), 0, nothing())
    assert "object_score_logits" not in out

    (out["pred_masks"].mean() + out["maskmem_features"].mean()).backward()

    assert model.memory_encoder.out_proj.weight.grad is not None
    assert model.image_encoder.trunk.patch_embed.proj.weight.grad is not None


@torch.no_grad()
def test_a_step_of_a_subclass_is_taken() -> None:
    class Mine(SAM2Base):
        def _forward_sam_heads(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(kwargs["multimask_output"])
            return super()._forward_sam_heads(*args, **kwargs)

    calls: list[bool] = []
    mine = speak_official(small_model(SIZE))
    mine.__class__ = Mine
    official_step(mine, noise(1, 3, SIZE, SIZE), 0, nothing())

    assert calls == [True]


@torch.no_grad()
def test_impossible_calls_are_refused(model: SAM2Base) -> None:
    image = noise(1, 3, SIZE, SIZE)
    with pytest.raises(InvalidInputError, match="cond_frame_outputs"):
        official_step(model, image, 1, nothing())
    _, flat, positions, sizes = model._prepare_backbone_features(model.forward_image(image))
    with pytest.raises(InvalidInputError, match="prev_sam_mask_logits"):
        model.track_step(
            0, True, flat, positions, sizes, None, None, nothing(), 3, False, True, torch.zeros(1, 1, 32, 32)
        )


@torch.no_grad()
def test_features_can_be_taken_as_a_dict(model: SAM2Base) -> None:
    features = model.forward_image(noise(1, 3, SIZE, SIZE))

    assert list(dict(features)) == features.keys() == ["vision_features", "vision_pos_enc", "backbone_fpn"]
    changed = features.copy()
    changed["backbone_fpn"][0] = None
    assert features["backbone_fpn"][0] is not None

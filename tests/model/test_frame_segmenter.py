"""One frame without memory; what the whole network does with it is in test_sam2_base.py."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sam2_core.errors import InvalidInputError
from sam2_core.model import NO_OBJ_SCORE, PointPrompts
from tests.model.small_models import noise, small_model

SIZE = 64


def points(count: int, batch: int = 1) -> PointPrompts:
    return PointPrompts(noise(batch, count, 2).abs() * 20, torch.ones(batch, count, dtype=torch.int32))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("is_initial", [True, False])
@pytest.mark.parametrize("when_tracking", [True, False])
def test_several_candidates_for_as_many_points_as_was_said(count: int, is_initial: bool, when_tracking: bool) -> None:
    model = small_model(
        SIZE, multimask_min_pt_num=1, multimask_max_pt_num=2, multimask_output_for_tracking=when_tracking
    )

    expected = count in (1, 2) and (is_initial or when_tracking)
    assert model.use_multimask(is_initial, points(count) if count else None) == expected


def test_the_embedding_is_the_coarsest_map_with_the_vector_for_no_memory() -> None:
    model = small_model(SIZE)
    with torch.no_grad():
        features = model.forward_image(noise(2, 3, SIZE, SIZE))
        added = model.image_embedding(features) - features.maps[-1]

    torch.testing.assert_close(added, model.no_mem_embed.detach().view(1, -1, 1, 1).expand_as(added))


@torch.no_grad()
def test_the_best_candidate_is_handed_out_and_scaled_up() -> None:
    model = small_model(SIZE)
    features = model.forward_image(noise(3, 3, SIZE, SIZE))
    out = model.forward_sam_heads(
        model.image_embedding(features), points(1, 3), None, features.maps[:-1], multimask_output=True
    )

    best = out.predicted_ious.argmax(dim=1)
    assert out.low_res_multimasks.shape[1] == 3
    for index, candidate in enumerate(best.tolist()):
        assert torch.equal(out.low_res_masks[index, 0], out.low_res_multimasks[index, candidate])
    torch.testing.assert_close(out.high_res_masks, F.interpolate(out.low_res_masks, (SIZE, SIZE), mode="bilinear"))
    absent = out.object_score_logits[:, 0] <= 0
    assert (out.low_res_masks[absent] == NO_OBJ_SCORE).all()
    assert (out.low_res_masks[~absent] > NO_OBJ_SCORE).all()


@torch.no_grad()
def test_a_mask_is_its_own_result_with_logits_of_ten() -> None:
    model = small_model(SIZE)
    features = model.forward_image(noise(2, 3, SIZE, SIZE))
    masks = torch.zeros(2, 1, SIZE, SIZE)
    masks[0, 0, 16:40, 8:32] = 1
    out = model.use_mask_as_output(model.image_embedding(features), features.maps[:-1], masks)

    assert torch.equal(out.high_res_masks, masks * 20 - 10)
    assert torch.equal(out.low_res_masks[0, 0] > 0, masks[0, 0, ::4, ::4] > 0)
    assert out.predicted_ious.tolist() == [[1], [1]]
    assert out.object_score_logits.tolist() == [[10], [-10]]  # the second mask is empty
    assert not torch.equal(out.object_pointer[0], out.object_pointer[1])
    torch.testing.assert_close(out.object_pointer[1:], model.no_obj_ptr)


def test_images_of_another_size_than_a_multiple_of_32_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="32"):
        small_model(SIZE).forward_image(noise(1, 3, 60, 64))
